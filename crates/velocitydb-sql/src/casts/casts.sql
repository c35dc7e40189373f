-- What PostgreSQL 15 makes of casts: of each line of casts.tsv the zone, the type, the text and the other
-- type are given; what the cast gives where it is asked for, and where the value is stored, is its answer.
-- To ask again, or for lines with only the first four columns that were added, with a database in UTF8:
--
--     cut -f1-4 casts.tsv | psql -X -q -f casts.sql > answers && mv answers casts.tsv
set client_min_messages = error;
create temp table cases (id int generated always as identity, zone text, source text, input text, target text);
create function pg_temp.asked(zone text, source text, input text, target text) returns text
language plpgsql as $$
declare answer text;
begin
  perform set_config('timezone', zone, true);
  execute 'create temp table given (v ' || source || ') on commit drop';
  execute format('insert into given values (%L)', input);
  execute 'select format(''%s'', v::' || target || ') from given' into answer;
  drop table given;
  return answer;
exception when others then
  return sqlstate || ' ' || sqlerrm;
end $$;
create function pg_temp.stored(zone text, source text, input text, target text) returns text
language plpgsql as $$
declare answer text;
begin
  perform set_config('timezone', zone, true);
  execute 'create temp table given (v ' || source || ') on commit drop';
  execute format('insert into given values (%L)', input);
  execute 'create temp table taken (v ' || target || ') on commit drop';
  execute 'insert into taken select v from given';
  execute 'select format(''%s'', v) from taken' into answer;
  drop table given, taken;
  return answer;
exception when others then
  return sqlstate || ' ' || sqlerrm;
end $$;
\copy cases (zone, source, input, target) from pstdin
copy (select zone, source, input, target, pg_temp.asked(zone, source, input, target),
  pg_temp.stored(zone, source, input, target) from cases order by id) to stdout;
