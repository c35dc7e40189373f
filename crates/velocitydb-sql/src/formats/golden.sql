-- What PostgreSQL 15 makes of texts: of each line of golden.tsv the zone, the type and the text are given,
-- the text and the bytes are its answer. To ask again, or for lines with only the first three columns
-- that were added, with a database in UTF8:
--
--     cut -f1-3 golden.tsv | psql -X -q -f golden.sql > answers && mv answers golden.tsv
set client_min_messages = error;
set datestyle = 'ISO, MDY';
create temp table cases (id int generated always as identity, zone text, kind text, input text);
create function pg_temp.probe(zone text, kind text, input text) returns table (answer text, bytes text)
language plpgsql as $$
declare
  send text := case
    when kind like '%[]' then 'array_send' when kind like 'numeric%' then 'numeric_send'
    when kind like 'character varying%' then 'varcharsend' when kind like 'character%' then 'bpcharsend'
    when kind = 'boolean' then 'boolsend' when kind = 'smallint' then 'int2send'
    when kind = 'integer' then 'int4send' when kind = 'bigint' then 'int8send'
    when kind = 'real' then 'float4send' when kind = 'double precision' then 'float8send'
    when kind = 'text' then 'textsend' when kind = 'bytea' then 'byteasend'
    when kind = 'timestamp with time zone' then 'timestamptz_send'
    when kind = 'timestamp without time zone' then 'timestamp_send'
    else kind || '_send' end;
begin
  perform set_config('timezone', zone, true);
  execute 'create temp table probed (v ' || kind || ') on commit drop';
  execute format('insert into probed values (%L)', input);
  return query execute
    'select format(''%s'', v), encode(' || send || '(v), ''hex'') from probed';
  drop table probed;
exception when others then
  return query select sqlstate || ' ' || sqlerrm, null::text;
end $$;
\copy cases (zone, kind, input) from pstdin
copy (select zone, kind, input, answer, bytes from cases, pg_temp.probe(zone, kind, input) order by id) to stdout;
