-- What PostgreSQL 15 makes of casts: each line of `cases` gives a line of casts.tsv, with what the cast gives
-- where it is asked for, and where the value is stored. To make it anew, with an empty database in UTF8:
--
--     psql -X -q -f casts.sql > casts.tsv
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
copy cases (zone, source, input, target) from stdin;
UTC	smallint	0	smallint
UTC	smallint	0	integer
UTC	smallint	0	bigint
UTC	smallint	0	real
UTC	smallint	0	double precision
UTC	smallint	0	numeric
UTC	smallint	0	numeric(3,1)
UTC	smallint	0	text
UTC	smallint	0	boolean
UTC	smallint	1	smallint
UTC	smallint	1	integer
UTC	smallint	1	bigint
UTC	smallint	1	real
UTC	smallint	1	double precision
UTC	smallint	1	numeric
UTC	smallint	1	numeric(3,1)
UTC	smallint	1	text
UTC	smallint	1	boolean
UTC	smallint	-5	smallint
UTC	smallint	-5	integer
UTC	smallint	-5	bigint
UTC	smallint	-5	real
UTC	smallint	-5	double precision
UTC	smallint	-5	numeric
UTC	smallint	-5	numeric(3,1)
UTC	smallint	-5	text
UTC	smallint	-5	boolean
UTC	smallint	32767	smallint
UTC	smallint	32767	integer
UTC	smallint	32767	bigint
UTC	smallint	32767	real
UTC	smallint	32767	double precision
UTC	smallint	32767	numeric
UTC	smallint	32767	numeric(3,1)
UTC	smallint	32767	text
UTC	smallint	32767	boolean
UTC	smallint	99	smallint
UTC	smallint	99	integer
UTC	smallint	99	bigint
UTC	smallint	99	real
UTC	smallint	99	double precision
UTC	smallint	99	numeric
UTC	smallint	99	numeric(3,1)
UTC	smallint	99	text
UTC	smallint	99	boolean
UTC	smallint	100	smallint
UTC	smallint	100	integer
UTC	smallint	100	bigint
UTC	smallint	100	real
UTC	smallint	100	double precision
UTC	smallint	100	numeric
UTC	smallint	100	numeric(3,1)
UTC	smallint	100	text
UTC	smallint	100	boolean
UTC	integer	0	smallint
UTC	integer	0	integer
UTC	integer	0	bigint
UTC	integer	0	real
UTC	integer	0	double precision
UTC	integer	0	numeric
UTC	integer	0	numeric(5,2)
UTC	integer	0	text
UTC	integer	0	boolean
UTC	integer	0	character varying(2)
UTC	integer	0	character(3)
UTC	integer	1	smallint
UTC	integer	1	integer
UTC	integer	1	bigint
UTC	integer	1	real
UTC	integer	1	double precision
UTC	integer	1	numeric
UTC	integer	1	numeric(5,2)
UTC	integer	1	text
UTC	integer	1	boolean
UTC	integer	1	character varying(2)
UTC	integer	1	character(3)
UTC	integer	-2147483648	smallint
UTC	integer	-2147483648	integer
UTC	integer	-2147483648	bigint
UTC	integer	-2147483648	real
UTC	integer	-2147483648	double precision
UTC	integer	-2147483648	numeric
UTC	integer	-2147483648	numeric(5,2)
UTC	integer	-2147483648	text
UTC	integer	-2147483648	boolean
UTC	integer	-2147483648	character varying(2)
UTC	integer	-2147483648	character(3)
UTC	integer	32768	smallint
UTC	integer	32768	integer
UTC	integer	32768	bigint
UTC	integer	32768	real
UTC	integer	32768	double precision
UTC	integer	32768	numeric
UTC	integer	32768	numeric(5,2)
UTC	integer	32768	text
UTC	integer	32768	boolean
UTC	integer	32768	character varying(2)
UTC	integer	32768	character(3)
UTC	integer	16777217	smallint
UTC	integer	16777217	integer
UTC	integer	16777217	bigint
UTC	integer	16777217	real
UTC	integer	16777217	double precision
UTC	integer	16777217	numeric
UTC	integer	16777217	numeric(5,2)
UTC	integer	16777217	text
UTC	integer	16777217	boolean
UTC	integer	16777217	character varying(2)
UTC	integer	16777217	character(3)
UTC	integer	123	smallint
UTC	integer	123	integer
UTC	integer	123	bigint
UTC	integer	123	real
UTC	integer	123	double precision
UTC	integer	123	numeric
UTC	integer	123	numeric(5,2)
UTC	integer	123	text
UTC	integer	123	boolean
UTC	integer	123	character varying(2)
UTC	integer	123	character(3)
UTC	bigint	0	smallint
UTC	bigint	0	integer
UTC	bigint	0	bigint
UTC	bigint	0	real
UTC	bigint	0	double precision
UTC	bigint	0	numeric
UTC	bigint	0	numeric(5,0)
UTC	bigint	0	text
UTC	bigint	0	boolean
UTC	bigint	9223372036854775807	smallint
UTC	bigint	9223372036854775807	integer
UTC	bigint	9223372036854775807	bigint
UTC	bigint	9223372036854775807	real
UTC	bigint	9223372036854775807	double precision
UTC	bigint	9223372036854775807	numeric
UTC	bigint	9223372036854775807	numeric(5,0)
UTC	bigint	9223372036854775807	text
UTC	bigint	9223372036854775807	boolean
UTC	bigint	-9223372036854775808	smallint
UTC	bigint	-9223372036854775808	integer
UTC	bigint	-9223372036854775808	bigint
UTC	bigint	-9223372036854775808	real
UTC	bigint	-9223372036854775808	double precision
UTC	bigint	-9223372036854775808	numeric
UTC	bigint	-9223372036854775808	numeric(5,0)
UTC	bigint	-9223372036854775808	text
UTC	bigint	-9223372036854775808	boolean
UTC	bigint	2147483648	smallint
UTC	bigint	2147483648	integer
UTC	bigint	2147483648	bigint
UTC	bigint	2147483648	real
UTC	bigint	2147483648	double precision
UTC	bigint	2147483648	numeric
UTC	bigint	2147483648	numeric(5,0)
UTC	bigint	2147483648	text
UTC	bigint	2147483648	boolean
UTC	bigint	9007199254740993	smallint
UTC	bigint	9007199254740993	integer
UTC	bigint	9007199254740993	bigint
UTC	bigint	9007199254740993	real
UTC	bigint	9007199254740993	double precision
UTC	bigint	9007199254740993	numeric
UTC	bigint	9007199254740993	numeric(5,0)
UTC	bigint	9007199254740993	text
UTC	bigint	9007199254740993	boolean
UTC	real	0	smallint
UTC	real	0	integer
UTC	real	0	bigint
UTC	real	0	real
UTC	real	0	double precision
UTC	real	0	numeric
UTC	real	0	numeric(6,2)
UTC	real	0	text
UTC	real	0.5	smallint
UTC	real	0.5	integer
UTC	real	0.5	bigint
UTC	real	0.5	real
UTC	real	0.5	double precision
UTC	real	0.5	numeric
UTC	real	0.5	numeric(6,2)
UTC	real	0.5	text
UTC	real	1.5	smallint
UTC	real	1.5	integer
UTC	real	1.5	bigint
UTC	real	1.5	real
UTC	real	1.5	double precision
UTC	real	1.5	numeric
UTC	real	1.5	numeric(6,2)
UTC	real	1.5	text
UTC	real	2.5	smallint
UTC	real	2.5	integer
UTC	real	2.5	bigint
UTC	real	2.5	real
UTC	real	2.5	double precision
UTC	real	2.5	numeric
UTC	real	2.5	numeric(6,2)
UTC	real	2.5	text
UTC	real	-0.5	smallint
UTC	real	-0.5	integer
UTC	real	-0.5	bigint
UTC	real	-0.5	real
UTC	real	-0.5	double precision
UTC	real	-0.5	numeric
UTC	real	-0.5	numeric(6,2)
UTC	real	-0.5	text
UTC	real	-1.5	smallint
UTC	real	-1.5	integer
UTC	real	-1.5	bigint
UTC	real	-1.5	real
UTC	real	-1.5	double precision
UTC	real	-1.5	numeric
UTC	real	-1.5	numeric(6,2)
UTC	real	-1.5	text
UTC	real	0.1	smallint
UTC	real	0.1	integer
UTC	real	0.1	bigint
UTC	real	0.1	real
UTC	real	0.1	double precision
UTC	real	0.1	numeric
UTC	real	0.1	numeric(6,2)
UTC	real	0.1	text
UTC	real	0.333333333333333333	smallint
UTC	real	0.333333333333333333	integer
UTC	real	0.333333333333333333	bigint
UTC	real	0.333333333333333333	real
UTC	real	0.333333333333333333	double precision
UTC	real	0.333333333333333333	numeric
UTC	real	0.333333333333333333	numeric(6,2)
UTC	real	0.333333333333333333	text
UTC	real	1e10	smallint
UTC	real	1e10	integer
UTC	real	1e10	bigint
UTC	real	1e10	real
UTC	real	1e10	double precision
UTC	real	1e10	numeric
UTC	real	1e10	numeric(6,2)
UTC	real	1e10	text
UTC	real	3e9	smallint
UTC	real	3e9	integer
UTC	real	3e9	bigint
UTC	real	3e9	real
UTC	real	3e9	double precision
UTC	real	3e9	numeric
UTC	real	3e9	numeric(6,2)
UTC	real	3e9	text
UTC	real	1e20	smallint
UTC	real	1e20	integer
UTC	real	1e20	bigint
UTC	real	1e20	real
UTC	real	1e20	double precision
UTC	real	1e20	numeric
UTC	real	1e20	numeric(6,2)
UTC	real	1e20	text
UTC	real	123456789	smallint
UTC	real	123456789	integer
UTC	real	123456789	bigint
UTC	real	123456789	real
UTC	real	123456789	double precision
UTC	real	123456789	numeric
UTC	real	123456789	numeric(6,2)
UTC	real	123456789	text
UTC	real	32767.4	smallint
UTC	real	32767.4	integer
UTC	real	32767.4	bigint
UTC	real	32767.4	real
UTC	real	32767.4	double precision
UTC	real	32767.4	numeric
UTC	real	32767.4	numeric(6,2)
UTC	real	32767.4	text
UTC	real	32767.5	smallint
UTC	real	32767.5	integer
UTC	real	32767.5	bigint
UTC	real	32767.5	real
UTC	real	32767.5	double precision
UTC	real	32767.5	numeric
UTC	real	32767.5	numeric(6,2)
UTC	real	32767.5	text
UTC	real	-32768.5	smallint
UTC	real	-32768.5	integer
UTC	real	-32768.5	bigint
UTC	real	-32768.5	real
UTC	real	-32768.5	double precision
UTC	real	-32768.5	numeric
UTC	real	-32768.5	numeric(6,2)
UTC	real	-32768.5	text
UTC	real	-32768.6	smallint
UTC	real	-32768.6	integer
UTC	real	-32768.6	bigint
UTC	real	-32768.6	real
UTC	real	-32768.6	double precision
UTC	real	-32768.6	numeric
UTC	real	-32768.6	numeric(6,2)
UTC	real	-32768.6	text
UTC	real	9.9995	smallint
UTC	real	9.9995	integer
UTC	real	9.9995	bigint
UTC	real	9.9995	real
UTC	real	9.9995	double precision
UTC	real	9.9995	numeric
UTC	real	9.9995	numeric(6,2)
UTC	real	9.9995	text
UTC	real	1e-10	smallint
UTC	real	1e-10	integer
UTC	real	1e-10	bigint
UTC	real	1e-10	real
UTC	real	1e-10	double precision
UTC	real	1e-10	numeric
UTC	real	1e-10	numeric(6,2)
UTC	real	1e-10	text
UTC	real	Infinity	smallint
UTC	real	Infinity	integer
UTC	real	Infinity	bigint
UTC	real	Infinity	real
UTC	real	Infinity	double precision
UTC	real	Infinity	numeric
UTC	real	Infinity	numeric(6,2)
UTC	real	Infinity	text
UTC	double precision	0	smallint
UTC	double precision	0	integer
UTC	double precision	0	bigint
UTC	double precision	0	real
UTC	double precision	0	double precision
UTC	double precision	0	numeric
UTC	double precision	0	numeric(6,2)
UTC	double precision	0	text
UTC	double precision	0.5	smallint
UTC	double precision	0.5	integer
UTC	double precision	0.5	bigint
UTC	double precision	0.5	real
UTC	double precision	0.5	double precision
UTC	double precision	0.5	numeric
UTC	double precision	0.5	numeric(6,2)
UTC	double precision	0.5	text
UTC	double precision	1.5	smallint
UTC	double precision	1.5	integer
UTC	double precision	1.5	bigint
UTC	double precision	1.5	real
UTC	double precision	1.5	double precision
UTC	double precision	1.5	numeric
UTC	double precision	1.5	numeric(6,2)
UTC	double precision	1.5	text
UTC	double precision	2.5	smallint
UTC	double precision	2.5	integer
UTC	double precision	2.5	bigint
UTC	double precision	2.5	real
UTC	double precision	2.5	double precision
UTC	double precision	2.5	numeric
UTC	double precision	2.5	numeric(6,2)
UTC	double precision	2.5	text
UTC	double precision	-0.5	smallint
UTC	double precision	-0.5	integer
UTC	double precision	-0.5	bigint
UTC	double precision	-0.5	real
UTC	double precision	-0.5	double precision
UTC	double precision	-0.5	numeric
UTC	double precision	-0.5	numeric(6,2)
UTC	double precision	-0.5	text
UTC	double precision	-1.5	smallint
UTC	double precision	-1.5	integer
UTC	double precision	-1.5	bigint
UTC	double precision	-1.5	real
UTC	double precision	-1.5	double precision
UTC	double precision	-1.5	numeric
UTC	double precision	-1.5	numeric(6,2)
UTC	double precision	-1.5	text
UTC	double precision	0.1	smallint
UTC	double precision	0.1	integer
UTC	double precision	0.1	bigint
UTC	double precision	0.1	real
UTC	double precision	0.1	double precision
UTC	double precision	0.1	numeric
UTC	double precision	0.1	numeric(6,2)
UTC	double precision	0.1	text
UTC	double precision	0.333333333333333333	smallint
UTC	double precision	0.333333333333333333	integer
UTC	double precision	0.333333333333333333	bigint
UTC	double precision	0.333333333333333333	real
UTC	double precision	0.333333333333333333	double precision
UTC	double precision	0.333333333333333333	numeric
UTC	double precision	0.333333333333333333	numeric(6,2)
UTC	double precision	0.333333333333333333	text
UTC	double precision	1e10	smallint
UTC	double precision	1e10	integer
UTC	double precision	1e10	bigint
UTC	double precision	1e10	real
UTC	double precision	1e10	double precision
UTC	double precision	1e10	numeric
UTC	double precision	1e10	numeric(6,2)
UTC	double precision	1e10	text
UTC	double precision	3e9	smallint
UTC	double precision	3e9	integer
UTC	double precision	3e9	bigint
UTC	double precision	3e9	real
UTC	double precision	3e9	double precision
UTC	double precision	3e9	numeric
UTC	double precision	3e9	numeric(6,2)
UTC	double precision	3e9	text
UTC	double precision	1e20	smallint
UTC	double precision	1e20	integer
UTC	double precision	1e20	bigint
UTC	double precision	1e20	real
UTC	double precision	1e20	double precision
UTC	double precision	1e20	numeric
UTC	double precision	1e20	numeric(6,2)
UTC	double precision	1e20	text
UTC	double precision	123456789	smallint
UTC	double precision	123456789	integer
UTC	double precision	123456789	bigint
UTC	double precision	123456789	real
UTC	double precision	123456789	double precision
UTC	double precision	123456789	numeric
UTC	double precision	123456789	numeric(6,2)
UTC	double precision	123456789	text
UTC	double precision	32767.4	smallint
UTC	double precision	32767.4	integer
UTC	double precision	32767.4	bigint
UTC	double precision	32767.4	real
UTC	double precision	32767.4	double precision
UTC	double precision	32767.4	numeric
UTC	double precision	32767.4	numeric(6,2)
UTC	double precision	32767.4	text
UTC	double precision	32767.5	smallint
UTC	double precision	32767.5	integer
UTC	double precision	32767.5	bigint
UTC	double precision	32767.5	real
UTC	double precision	32767.5	double precision
UTC	double precision	32767.5	numeric
UTC	double precision	32767.5	numeric(6,2)
UTC	double precision	32767.5	text
UTC	double precision	-32768.5	smallint
UTC	double precision	-32768.5	integer
UTC	double precision	-32768.5	bigint
UTC	double precision	-32768.5	real
UTC	double precision	-32768.5	double precision
UTC	double precision	-32768.5	numeric
UTC	double precision	-32768.5	numeric(6,2)
UTC	double precision	-32768.5	text
UTC	double precision	-32768.6	smallint
UTC	double precision	-32768.6	integer
UTC	double precision	-32768.6	bigint
UTC	double precision	-32768.6	real
UTC	double precision	-32768.6	double precision
UTC	double precision	-32768.6	numeric
UTC	double precision	-32768.6	numeric(6,2)
UTC	double precision	-32768.6	text
UTC	double precision	9.9995	smallint
UTC	double precision	9.9995	integer
UTC	double precision	9.9995	bigint
UTC	double precision	9.9995	real
UTC	double precision	9.9995	double precision
UTC	double precision	9.9995	numeric
UTC	double precision	9.9995	numeric(6,2)
UTC	double precision	9.9995	text
UTC	double precision	1e-10	smallint
UTC	double precision	1e-10	integer
UTC	double precision	1e-10	bigint
UTC	double precision	1e-10	real
UTC	double precision	1e-10	double precision
UTC	double precision	1e-10	numeric
UTC	double precision	1e-10	numeric(6,2)
UTC	double precision	1e-10	text
UTC	double precision	Infinity	smallint
UTC	double precision	Infinity	integer
UTC	double precision	Infinity	bigint
UTC	double precision	Infinity	real
UTC	double precision	Infinity	double precision
UTC	double precision	Infinity	numeric
UTC	double precision	Infinity	numeric(6,2)
UTC	double precision	Infinity	text
UTC	double precision	1e39	real
UTC	double precision	1e-46	real
UTC	double precision	3.4028235677973366e38	real
UTC	double precision	0.1	real
UTC	numeric	0	smallint
UTC	numeric	0	integer
UTC	numeric	0	bigint
UTC	numeric	0	real
UTC	numeric	0	double precision
UTC	numeric	0	numeric(4,1)
UTC	numeric	0	text
UTC	numeric	0	character varying(3)
UTC	numeric	0.5	smallint
UTC	numeric	0.5	integer
UTC	numeric	0.5	bigint
UTC	numeric	0.5	real
UTC	numeric	0.5	double precision
UTC	numeric	0.5	numeric(4,1)
UTC	numeric	0.5	text
UTC	numeric	0.5	character varying(3)
UTC	numeric	1.5	smallint
UTC	numeric	1.5	integer
UTC	numeric	1.5	bigint
UTC	numeric	1.5	real
UTC	numeric	1.5	double precision
UTC	numeric	1.5	numeric(4,1)
UTC	numeric	1.5	text
UTC	numeric	1.5	character varying(3)
UTC	numeric	2.5	smallint
UTC	numeric	2.5	integer
UTC	numeric	2.5	bigint
UTC	numeric	2.5	real
UTC	numeric	2.5	double precision
UTC	numeric	2.5	numeric(4,1)
UTC	numeric	2.5	text
UTC	numeric	2.5	character varying(3)
UTC	numeric	-0.5	smallint
UTC	numeric	-0.5	integer
UTC	numeric	-0.5	bigint
UTC	numeric	-0.5	real
UTC	numeric	-0.5	double precision
UTC	numeric	-0.5	numeric(4,1)
UTC	numeric	-0.5	text
UTC	numeric	-0.5	character varying(3)
UTC	numeric	-1.5	smallint
UTC	numeric	-1.5	integer
UTC	numeric	-1.5	bigint
UTC	numeric	-1.5	real
UTC	numeric	-1.5	double precision
UTC	numeric	-1.5	numeric(4,1)
UTC	numeric	-1.5	text
UTC	numeric	-1.5	character varying(3)
UTC	numeric	-2.5	smallint
UTC	numeric	-2.5	integer
UTC	numeric	-2.5	bigint
UTC	numeric	-2.5	real
UTC	numeric	-2.5	double precision
UTC	numeric	-2.5	numeric(4,1)
UTC	numeric	-2.5	text
UTC	numeric	-2.5	character varying(3)
UTC	numeric	32767.5	smallint
UTC	numeric	32767.5	integer
UTC	numeric	32767.5	bigint
UTC	numeric	32767.5	real
UTC	numeric	32767.5	double precision
UTC	numeric	32767.5	numeric(4,1)
UTC	numeric	32767.5	text
UTC	numeric	32767.5	character varying(3)
UTC	numeric	32767.4	smallint
UTC	numeric	32767.4	integer
UTC	numeric	32767.4	bigint
UTC	numeric	32767.4	real
UTC	numeric	32767.4	double precision
UTC	numeric	32767.4	numeric(4,1)
UTC	numeric	32767.4	text
UTC	numeric	32767.4	character varying(3)
UTC	numeric	2147483647.5	smallint
UTC	numeric	2147483647.5	integer
UTC	numeric	2147483647.5	bigint
UTC	numeric	2147483647.5	real
UTC	numeric	2147483647.5	double precision
UTC	numeric	2147483647.5	numeric(4,1)
UTC	numeric	2147483647.5	text
UTC	numeric	2147483647.5	character varying(3)
UTC	numeric	9223372036854775807.5	smallint
UTC	numeric	9223372036854775807.5	integer
UTC	numeric	9223372036854775807.5	bigint
UTC	numeric	9223372036854775807.5	real
UTC	numeric	9223372036854775807.5	double precision
UTC	numeric	9223372036854775807.5	numeric(4,1)
UTC	numeric	9223372036854775807.5	text
UTC	numeric	9223372036854775807.5	character varying(3)
UTC	numeric	0.1	smallint
UTC	numeric	0.1	integer
UTC	numeric	0.1	bigint
UTC	numeric	0.1	real
UTC	numeric	0.1	double precision
UTC	numeric	0.1	numeric(4,1)
UTC	numeric	0.1	text
UTC	numeric	0.1	character varying(3)
UTC	numeric	99.95	smallint
UTC	numeric	99.95	integer
UTC	numeric	99.95	bigint
UTC	numeric	99.95	real
UTC	numeric	99.95	double precision
UTC	numeric	99.95	numeric(4,1)
UTC	numeric	99.95	text
UTC	numeric	99.95	character varying(3)
UTC	numeric	999.95	smallint
UTC	numeric	999.95	integer
UTC	numeric	999.95	bigint
UTC	numeric	999.95	real
UTC	numeric	999.95	double precision
UTC	numeric	999.95	numeric(4,1)
UTC	numeric	999.95	text
UTC	numeric	999.95	character varying(3)
UTC	numeric	1e40	smallint
UTC	numeric	1e40	integer
UTC	numeric	1e40	bigint
UTC	numeric	1e40	real
UTC	numeric	1e40	double precision
UTC	numeric	1e40	numeric(4,1)
UTC	numeric	1e40	text
UTC	numeric	1e40	character varying(3)
UTC	numeric	1e-50	smallint
UTC	numeric	1e-50	integer
UTC	numeric	1e-50	bigint
UTC	numeric	1e-50	real
UTC	numeric	1e-50	double precision
UTC	numeric	1e-50	numeric(4,1)
UTC	numeric	1e-50	text
UTC	numeric	1e-50	character varying(3)
UTC	numeric	123456789.123456789	smallint
UTC	numeric	123456789.123456789	integer
UTC	numeric	123456789.123456789	bigint
UTC	numeric	123456789.123456789	real
UTC	numeric	123456789.123456789	double precision
UTC	numeric	123456789.123456789	numeric(4,1)
UTC	numeric	123456789.123456789	text
UTC	numeric	123456789.123456789	character varying(3)
UTC	numeric(5,2)	1.5	text
UTC	numeric(5,2)	1.5	numeric
UTC	numeric(5,2)	1.5	numeric(5,1)
UTC	numeric(5,2)	1.5	integer
UTC	numeric(5,2)	999.99	text
UTC	numeric(5,2)	999.99	numeric
UTC	numeric(5,2)	999.99	numeric(5,1)
UTC	numeric(5,2)	999.99	integer
UTC	numeric(5,2)	0.05	text
UTC	numeric(5,2)	0.05	numeric
UTC	numeric(5,2)	0.05	numeric(5,1)
UTC	numeric(5,2)	0.05	integer
UTC	boolean	t	integer
UTC	boolean	t	text
UTC	boolean	t	character varying(2)
UTC	boolean	t	character(5)
UTC	boolean	t	smallint
UTC	boolean	t	boolean
UTC	boolean	f	integer
UTC	boolean	f	text
UTC	boolean	f	character varying(2)
UTC	boolean	f	character(5)
UTC	boolean	f	smallint
UTC	boolean	f	boolean
UTC	text	1	integer
UTC	text	1	smallint
UTC	text	1	real
UTC	text	1	double precision
UTC	text	1	numeric
UTC	text	1	numeric(4,2)
UTC	text	1	boolean
UTC	text	1	date
UTC	text	1	interval
UTC	text	1	uuid
UTC	text	1	bytea
UTC	text	1	jsonb
UTC	text	1	json
UTC	text	1	point
UTC	text	1	character varying(2)
UTC	text	1	character(2)
UTC	text	1	integer[]
UTC	text	1	text[]
UTC	text	1	text
UTC	text	12	integer
UTC	text	12	smallint
UTC	text	12	real
UTC	text	12	double precision
UTC	text	12	numeric
UTC	text	12	numeric(4,2)
UTC	text	12	boolean
UTC	text	12	date
UTC	text	12	interval
UTC	text	12	uuid
UTC	text	12	bytea
UTC	text	12	jsonb
UTC	text	12	json
UTC	text	12	point
UTC	text	12	character varying(2)
UTC	text	12	character(2)
UTC	text	12	integer[]
UTC	text	12	text[]
UTC	text	12	text
UTC	text	abc	integer
UTC	text	abc	smallint
UTC	text	abc	real
UTC	text	abc	double precision
UTC	text	abc	numeric
UTC	text	abc	numeric(4,2)
UTC	text	abc	boolean
UTC	text	abc	date
UTC	text	abc	interval
UTC	text	abc	uuid
UTC	text	abc	bytea
UTC	text	abc	jsonb
UTC	text	abc	json
UTC	text	abc	point
UTC	text	abc	character varying(2)
UTC	text	abc	character(2)
UTC	text	abc	integer[]
UTC	text	abc	text[]
UTC	text	abc	text
UTC	text	true	integer
UTC	text	true	smallint
UTC	text	true	real
UTC	text	true	double precision
UTC	text	true	numeric
UTC	text	true	numeric(4,2)
UTC	text	true	boolean
UTC	text	true	date
UTC	text	true	interval
UTC	text	true	uuid
UTC	text	true	bytea
UTC	text	true	jsonb
UTC	text	true	json
UTC	text	true	point
UTC	text	true	character varying(2)
UTC	text	true	character(2)
UTC	text	true	integer[]
UTC	text	true	text[]
UTC	text	true	text
UTC	text	2026-11-30	integer
UTC	text	2026-11-30	smallint
UTC	text	2026-11-30	real
UTC	text	2026-11-30	double precision
UTC	text	2026-11-30	numeric
UTC	text	2026-11-30	numeric(4,2)
UTC	text	2026-11-30	boolean
UTC	text	2026-11-30	date
UTC	text	2026-11-30	interval
UTC	text	2026-11-30	uuid
UTC	text	2026-11-30	bytea
UTC	text	2026-11-30	jsonb
UTC	text	2026-11-30	json
UTC	text	2026-11-30	point
UTC	text	2026-11-30	character varying(2)
UTC	text	2026-11-30	character(2)
UTC	text	2026-11-30	integer[]
UTC	text	2026-11-30	text[]
UTC	text	2026-11-30	text
UTC	text	1 day	integer
UTC	text	1 day	smallint
UTC	text	1 day	real
UTC	text	1 day	double precision
UTC	text	1 day	numeric
UTC	text	1 day	numeric(4,2)
UTC	text	1 day	boolean
UTC	text	1 day	date
UTC	text	1 day	interval
UTC	text	1 day	uuid
UTC	text	1 day	bytea
UTC	text	1 day	jsonb
UTC	text	1 day	json
UTC	text	1 day	point
UTC	text	1 day	character varying(2)
UTC	text	1 day	character(2)
UTC	text	1 day	integer[]
UTC	text	1 day	text[]
UTC	text	1 day	text
UTC	text	{1,2}	integer
UTC	text	{1,2}	smallint
UTC	text	{1,2}	real
UTC	text	{1,2}	double precision
UTC	text	{1,2}	numeric
UTC	text	{1,2}	numeric(4,2)
UTC	text	{1,2}	boolean
UTC	text	{1,2}	date
UTC	text	{1,2}	interval
UTC	text	{1,2}	uuid
UTC	text	{1,2}	bytea
UTC	text	{1,2}	jsonb
UTC	text	{1,2}	json
UTC	text	{1,2}	point
UTC	text	{1,2}	character varying(2)
UTC	text	{1,2}	character(2)
UTC	text	{1,2}	integer[]
UTC	text	{1,2}	text[]
UTC	text	{1,2}	text
UTC	text	a  	integer
UTC	text	a  	smallint
UTC	text	a  	real
UTC	text	a  	double precision
UTC	text	a  	numeric
UTC	text	a  	numeric(4,2)
UTC	text	a  	boolean
UTC	text	a  	date
UTC	text	a  	interval
UTC	text	a  	uuid
UTC	text	a  	bytea
UTC	text	a  	jsonb
UTC	text	a  	json
UTC	text	a  	point
UTC	text	a  	character varying(2)
UTC	text	a  	character(2)
UTC	text	a  	integer[]
UTC	text	a  	text[]
UTC	text	a  	text
UTC	text	70000	integer
UTC	text	70000	smallint
UTC	text	70000	real
UTC	text	70000	double precision
UTC	text	70000	numeric
UTC	text	70000	numeric(4,2)
UTC	text	70000	boolean
UTC	text	70000	date
UTC	text	70000	interval
UTC	text	70000	uuid
UTC	text	70000	bytea
UTC	text	70000	jsonb
UTC	text	70000	json
UTC	text	70000	point
UTC	text	70000	character varying(2)
UTC	text	70000	character(2)
UTC	text	70000	integer[]
UTC	text	70000	text[]
UTC	text	70000	text
UTC	text	12.345	integer
UTC	text	12.345	smallint
UTC	text	12.345	real
UTC	text	12.345	double precision
UTC	text	12.345	numeric
UTC	text	12.345	numeric(4,2)
UTC	text	12.345	boolean
UTC	text	12.345	date
UTC	text	12.345	interval
UTC	text	12.345	uuid
UTC	text	12.345	bytea
UTC	text	12.345	jsonb
UTC	text	12.345	json
UTC	text	12.345	point
UTC	text	12.345	character varying(2)
UTC	text	12.345	character(2)
UTC	text	12.345	integer[]
UTC	text	12.345	text[]
UTC	text	12.345	text
Europe/Berlin	text	2026-11-30 12:00	timestamp with time zone
Europe/Berlin	text	2026-11-30 12:00	timestamp without time zone
Europe/Berlin	text	2026-07-30 12:00+05	timestamp with time zone
Europe/Berlin	text	2026-07-30 12:00+05	timestamp without time zone
Europe/Berlin	text	x	timestamp with time zone
Europe/Berlin	text	x	timestamp without time zone
UTC	character varying(5)	abc	text
UTC	character varying(5)	abc	character varying(2)
UTC	character varying(5)	abc	character(2)
UTC	character varying(5)	abc	integer
UTC	character varying(5)	abc	character varying
UTC	character varying(5)	1	text
UTC	character varying(5)	1	character varying(2)
UTC	character varying(5)	1	character(2)
UTC	character varying(5)	1	integer
UTC	character varying(5)	1	character varying
UTC	character varying(5)	ab  	text
UTC	character varying(5)	ab  	character varying(2)
UTC	character varying(5)	ab  	character(2)
UTC	character varying(5)	ab  	integer
UTC	character varying(5)	ab  	character varying
UTC	character varying(5)	äöüß	text
UTC	character varying(5)	äöüß	character varying(2)
UTC	character varying(5)	äöüß	character(2)
UTC	character varying(5)	äöüß	integer
UTC	character varying(5)	äöüß	character varying
UTC	character varying(5)	1  	text
UTC	character varying(5)	1  	character varying(2)
UTC	character varying(5)	1  	character(2)
UTC	character varying(5)	1  	integer
UTC	character varying(5)	1  	character varying
UTC	character(4)	abc	text
UTC	character(4)	abc	character varying
UTC	character(4)	abc	character varying(2)
UTC	character(4)	abc	character(2)
UTC	character(4)	abc	integer
UTC	character(4)	abc	character(6)
UTC	character(4)	1	text
UTC	character(4)	1	character varying
UTC	character(4)	1	character varying(2)
UTC	character(4)	1	character(2)
UTC	character(4)	1	integer
UTC	character(4)	1	character(6)
UTC	character(4)	ab	text
UTC	character(4)	ab	character varying
UTC	character(4)	ab	character varying(2)
UTC	character(4)	ab	character(2)
UTC	character(4)	ab	integer
UTC	character(4)	ab	character(6)
UTC	character(4)	  a	text
UTC	character(4)	  a	character varying
UTC	character(4)	  a	character varying(2)
UTC	character(4)	  a	character(2)
UTC	character(4)	  a	integer
UTC	character(4)	  a	character(6)
Europe/Berlin	date	2026-11-30	timestamp without time zone
Europe/Berlin	date	2026-11-30	timestamp with time zone
Europe/Berlin	date	2026-11-30	text
Europe/Berlin	date	2026-11-30	date
Europe/Berlin	date	2026-11-30	integer
Europe/Berlin	date	2026-03-29	timestamp without time zone
Europe/Berlin	date	2026-03-29	timestamp with time zone
Europe/Berlin	date	2026-03-29	text
Europe/Berlin	date	2026-03-29	date
Europe/Berlin	date	2026-03-29	integer
Europe/Berlin	date	0044-03-15 BC	timestamp without time zone
Europe/Berlin	date	0044-03-15 BC	timestamp with time zone
Europe/Berlin	date	0044-03-15 BC	text
Europe/Berlin	date	0044-03-15 BC	date
Europe/Berlin	date	0044-03-15 BC	integer
Europe/Berlin	date	5874897-12-31	timestamp without time zone
Europe/Berlin	date	5874897-12-31	timestamp with time zone
Europe/Berlin	date	5874897-12-31	text
Europe/Berlin	date	5874897-12-31	date
Europe/Berlin	date	5874897-12-31	integer
Europe/Berlin	date	300000-01-01	timestamp without time zone
Europe/Berlin	date	300000-01-01	timestamp with time zone
Europe/Berlin	date	300000-01-01	text
Europe/Berlin	date	300000-01-01	date
Europe/Berlin	date	300000-01-01	integer
Europe/Berlin	timestamp without time zone	2026-11-30 23:30	date
Europe/Berlin	timestamp without time zone	2026-11-30 23:30	timestamp with time zone
Europe/Berlin	timestamp without time zone	2026-11-30 23:30	text
Europe/Berlin	timestamp without time zone	2026-11-30 23:30	timestamp without time zone
Europe/Berlin	timestamp without time zone	2026-03-29 02:30	date
Europe/Berlin	timestamp without time zone	2026-03-29 02:30	timestamp with time zone
Europe/Berlin	timestamp without time zone	2026-03-29 02:30	text
Europe/Berlin	timestamp without time zone	2026-03-29 02:30	timestamp without time zone
Europe/Berlin	timestamp without time zone	2026-10-25 02:30	date
Europe/Berlin	timestamp without time zone	2026-10-25 02:30	timestamp with time zone
Europe/Berlin	timestamp without time zone	2026-10-25 02:30	text
Europe/Berlin	timestamp without time zone	2026-10-25 02:30	timestamp without time zone
Europe/Berlin	timestamp without time zone	1969-12-31 23:59:59.5	date
Europe/Berlin	timestamp without time zone	1969-12-31 23:59:59.5	timestamp with time zone
Europe/Berlin	timestamp without time zone	1969-12-31 23:59:59.5	text
Europe/Berlin	timestamp without time zone	1969-12-31 23:59:59.5	timestamp without time zone
Europe/Berlin	timestamp without time zone	0001-01-01 00:00	date
Europe/Berlin	timestamp without time zone	0001-01-01 00:00	timestamp with time zone
Europe/Berlin	timestamp without time zone	0001-01-01 00:00	text
Europe/Berlin	timestamp without time zone	0001-01-01 00:00	timestamp without time zone
Europe/Berlin	timestamp with time zone	2026-11-30 23:30Z	date
Europe/Berlin	timestamp with time zone	2026-11-30 23:30Z	timestamp without time zone
Europe/Berlin	timestamp with time zone	2026-11-30 23:30Z	text
Europe/Berlin	timestamp with time zone	2026-11-30 23:30Z	character varying(10)
Europe/Berlin	timestamp with time zone	2026-03-29 00:30Z	date
Europe/Berlin	timestamp with time zone	2026-03-29 00:30Z	timestamp without time zone
Europe/Berlin	timestamp with time zone	2026-03-29 00:30Z	text
Europe/Berlin	timestamp with time zone	2026-03-29 00:30Z	character varying(10)
Europe/Berlin	timestamp with time zone	2026-03-29 01:30Z	date
Europe/Berlin	timestamp with time zone	2026-03-29 01:30Z	timestamp without time zone
Europe/Berlin	timestamp with time zone	2026-03-29 01:30Z	text
Europe/Berlin	timestamp with time zone	2026-03-29 01:30Z	character varying(10)
Europe/Berlin	timestamp with time zone	2026-10-25 00:30Z	date
Europe/Berlin	timestamp with time zone	2026-10-25 00:30Z	timestamp without time zone
Europe/Berlin	timestamp with time zone	2026-10-25 00:30Z	text
Europe/Berlin	timestamp with time zone	2026-10-25 00:30Z	character varying(10)
Europe/Berlin	timestamp with time zone	2026-10-25 01:30Z	date
Europe/Berlin	timestamp with time zone	2026-10-25 01:30Z	timestamp without time zone
Europe/Berlin	timestamp with time zone	2026-10-25 01:30Z	text
Europe/Berlin	timestamp with time zone	2026-10-25 01:30Z	character varying(10)
Europe/Berlin	timestamp with time zone	0001-01-01 00:00Z	date
Europe/Berlin	timestamp with time zone	0001-01-01 00:00Z	timestamp without time zone
Europe/Berlin	timestamp with time zone	0001-01-01 00:00Z	text
Europe/Berlin	timestamp with time zone	0001-01-01 00:00Z	character varying(10)
America/New_York	timestamp with time zone	2026-11-30 23:30Z	date
America/New_York	timestamp with time zone	2026-11-30 23:30Z	timestamp without time zone
America/New_York	timestamp with time zone	2026-11-30 03:30Z	date
America/New_York	timestamp with time zone	2026-11-30 03:30Z	timestamp without time zone
UTC	interval	1 day 2 hours	text
UTC	interval	1 day 2 hours	interval
UTC	interval	1 day 2 hours	integer
UTC	uuid	a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11	text
UTC	uuid	a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11	character(40)
UTC	uuid	a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11	bytea
UTC	bytea	\\x00ff	text
UTC	bytea	\\x00ff	uuid
UTC	jsonb	true	boolean
UTC	jsonb	true	smallint
UTC	jsonb	true	integer
UTC	jsonb	true	bigint
UTC	jsonb	true	real
UTC	jsonb	true	double precision
UTC	jsonb	true	numeric
UTC	jsonb	true	numeric(3,1)
UTC	jsonb	true	text
UTC	jsonb	true	json
UTC	jsonb	true	date
UTC	jsonb	1	boolean
UTC	jsonb	1	smallint
UTC	jsonb	1	integer
UTC	jsonb	1	bigint
UTC	jsonb	1	real
UTC	jsonb	1	double precision
UTC	jsonb	1	numeric
UTC	jsonb	1	numeric(3,1)
UTC	jsonb	1	text
UTC	jsonb	1	json
UTC	jsonb	1	date
UTC	jsonb	1.5	boolean
UTC	jsonb	1.5	smallint
UTC	jsonb	1.5	integer
UTC	jsonb	1.5	bigint
UTC	jsonb	1.5	real
UTC	jsonb	1.5	double precision
UTC	jsonb	1.5	numeric
UTC	jsonb	1.5	numeric(3,1)
UTC	jsonb	1.5	text
UTC	jsonb	1.5	json
UTC	jsonb	1.5	date
UTC	jsonb	2.5	boolean
UTC	jsonb	2.5	smallint
UTC	jsonb	2.5	integer
UTC	jsonb	2.5	bigint
UTC	jsonb	2.5	real
UTC	jsonb	2.5	double precision
UTC	jsonb	2.5	numeric
UTC	jsonb	2.5	numeric(3,1)
UTC	jsonb	2.5	text
UTC	jsonb	2.5	json
UTC	jsonb	2.5	date
UTC	jsonb	-2.5	boolean
UTC	jsonb	-2.5	smallint
UTC	jsonb	-2.5	integer
UTC	jsonb	-2.5	bigint
UTC	jsonb	-2.5	real
UTC	jsonb	-2.5	double precision
UTC	jsonb	-2.5	numeric
UTC	jsonb	-2.5	numeric(3,1)
UTC	jsonb	-2.5	text
UTC	jsonb	-2.5	json
UTC	jsonb	-2.5	date
UTC	jsonb	70000	boolean
UTC	jsonb	70000	smallint
UTC	jsonb	70000	integer
UTC	jsonb	70000	bigint
UTC	jsonb	70000	real
UTC	jsonb	70000	double precision
UTC	jsonb	70000	numeric
UTC	jsonb	70000	numeric(3,1)
UTC	jsonb	70000	text
UTC	jsonb	70000	json
UTC	jsonb	70000	date
UTC	jsonb	"a"	boolean
UTC	jsonb	"a"	smallint
UTC	jsonb	"a"	integer
UTC	jsonb	"a"	bigint
UTC	jsonb	"a"	real
UTC	jsonb	"a"	double precision
UTC	jsonb	"a"	numeric
UTC	jsonb	"a"	numeric(3,1)
UTC	jsonb	"a"	text
UTC	jsonb	"a"	json
UTC	jsonb	"a"	date
UTC	jsonb	[1]	boolean
UTC	jsonb	[1]	smallint
UTC	jsonb	[1]	integer
UTC	jsonb	[1]	bigint
UTC	jsonb	[1]	real
UTC	jsonb	[1]	double precision
UTC	jsonb	[1]	numeric
UTC	jsonb	[1]	numeric(3,1)
UTC	jsonb	[1]	text
UTC	jsonb	[1]	json
UTC	jsonb	[1]	date
UTC	jsonb	{"a":1}	boolean
UTC	jsonb	{"a":1}	smallint
UTC	jsonb	{"a":1}	integer
UTC	jsonb	{"a":1}	bigint
UTC	jsonb	{"a":1}	real
UTC	jsonb	{"a":1}	double precision
UTC	jsonb	{"a":1}	numeric
UTC	jsonb	{"a":1}	numeric(3,1)
UTC	jsonb	{"a":1}	text
UTC	jsonb	{"a":1}	json
UTC	jsonb	{"a":1}	date
UTC	jsonb	12345678901234567890	boolean
UTC	jsonb	12345678901234567890	smallint
UTC	jsonb	12345678901234567890	integer
UTC	jsonb	12345678901234567890	bigint
UTC	jsonb	12345678901234567890	real
UTC	jsonb	12345678901234567890	double precision
UTC	jsonb	12345678901234567890	numeric
UTC	jsonb	12345678901234567890	numeric(3,1)
UTC	jsonb	12345678901234567890	text
UTC	jsonb	12345678901234567890	json
UTC	jsonb	12345678901234567890	date
UTC	jsonb	0.1	boolean
UTC	jsonb	0.1	smallint
UTC	jsonb	0.1	integer
UTC	jsonb	0.1	bigint
UTC	jsonb	0.1	real
UTC	jsonb	0.1	double precision
UTC	jsonb	0.1	numeric
UTC	jsonb	0.1	numeric(3,1)
UTC	jsonb	0.1	text
UTC	jsonb	0.1	json
UTC	jsonb	0.1	date
UTC	json	1	jsonb
UTC	json	1	text
UTC	json	1	integer
UTC	json	{"a": 1}	jsonb
UTC	json	{"a": 1}	text
UTC	json	{"a": 1}	integer
UTC	point	(1,2)	text
UTC	integer[]	{1,2,NULL}	bigint[]
UTC	integer[]	{1,2,NULL}	smallint[]
UTC	integer[]	{1,2,NULL}	text[]
UTC	integer[]	{1,2,NULL}	text
UTC	integer[]	{1,2,NULL}	numeric(3,1)[]
UTC	integer[]	{1,2,NULL}	boolean[]
UTC	integer[]	{1,2,NULL}	integer
UTC	integer[]	{1,2,NULL}	real[]
UTC	integer[]	{70000}	bigint[]
UTC	integer[]	{70000}	smallint[]
UTC	integer[]	{70000}	text[]
UTC	integer[]	{70000}	text
UTC	integer[]	{70000}	numeric(3,1)[]
UTC	integer[]	{70000}	boolean[]
UTC	integer[]	{70000}	integer
UTC	integer[]	{70000}	real[]
UTC	integer[]	{}	bigint[]
UTC	integer[]	{}	smallint[]
UTC	integer[]	{}	text[]
UTC	integer[]	{}	text
UTC	integer[]	{}	numeric(3,1)[]
UTC	integer[]	{}	boolean[]
UTC	integer[]	{}	integer
UTC	integer[]	{}	real[]
UTC	text[]	{1,2,NULL}	integer[]
UTC	text[]	{1,2,NULL}	character varying(2)[]
UTC	text[]	{1,2,NULL}	text
UTC	text[]	{1,2,NULL}	date[]
UTC	text[]	{1,2,NULL}	integer
UTC	text[]	{abc}	integer[]
UTC	text[]	{abc}	character varying(2)[]
UTC	text[]	{abc}	text
UTC	text[]	{abc}	date[]
UTC	text[]	{abc}	integer
UTC	text[]	{x}	integer[]
UTC	text[]	{x}	character varying(2)[]
UTC	text[]	{x}	text
UTC	text[]	{x}	date[]
UTC	text[]	{x}	integer
UTC	text[]	{}	integer[]
UTC	text[]	{}	character varying(2)[]
UTC	text[]	{}	text
UTC	text[]	{}	date[]
UTC	text[]	{}	integer
UTC	numeric[]	{1.5,2.5,-0.5}	integer[]
UTC	double precision[]	{1.5,2.5,-0.5}	integer[]
UTC	double precision[]	{1.5,2.5,-0.5}	real[]
\.
copy (select zone, source, input, target, pg_temp.asked(zone, source, input, target),
  pg_temp.stored(zone, source, input, target) from cases order by id) to stdout;
