-- Inserts documents of about 150 bytes, no two alike. The argument is the number of the run.

local run = "0"
local made = 0
local body = '{"amount":0.5,"colony":"benchmark","name":"document %s-%d","note":"'
  .. 'what a task has to say about itself, short as it is","priority":%d,"state":%d}'

function init(arguments)
  run = arguments[1]
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  made = made + 1
  return wrk.format(nil, nil, nil, body:format(run, made, made, made % 5))
end
