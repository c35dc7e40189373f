-- What PostgreSQL 15 makes of texts: each line of `cases` as its type, in its time zone, gives a line of
-- golden.tsv. To make it anew, with an empty database of PostgreSQL 15 in UTF8:
--
--     psql -X -q -f golden.sql > golden.tsv
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
copy cases (zone, kind, input) from stdin;
UTC	boolean	t
UTC	boolean	true
UTC	boolean	TRUE
UTC	boolean	tr
UTC	boolean	tru
UTC	boolean	y
UTC	boolean	ye
UTC	boolean	yes
UTC	boolean	on
UTC	boolean	1
UTC	boolean	 true 
UTC	boolean	f
UTC	boolean	false
UTC	boolean	fal
UTC	boolean	n
UTC	boolean	no
UTC	boolean	off
UTC	boolean	of
UTC	boolean	0
UTC	boolean	o
UTC	boolean	
UTC	boolean	x
UTC	boolean	2
UTC	boolean	truee
UTC	boolean	10
UTC	boolean	onn
UTC	smallint	0
UTC	smallint	-0
UTC	smallint	+5
UTC	smallint	 42 
UTC	smallint	007
UTC	smallint	-32768
UTC	smallint	32767
UTC	smallint	-32769
UTC	smallint	32768
UTC	smallint	
UTC	smallint	-
UTC	smallint	1.5
UTC	smallint	1e3
UTC	smallint	x
UTC	smallint	4 2
UTC	smallint	0x1A
UTC	smallint	1_000
UTC	smallint	99999999999999999999999999
UTC	smallint	- 1
UTC	integer	0
UTC	integer	-0
UTC	integer	+5
UTC	integer	 42 
UTC	integer	007
UTC	integer	-2147483648
UTC	integer	2147483647
UTC	integer	-2147483649
UTC	integer	2147483648
UTC	integer	
UTC	integer	-
UTC	integer	1.5
UTC	integer	1e3
UTC	integer	x
UTC	integer	4 2
UTC	integer	0x1A
UTC	integer	1_000
UTC	integer	99999999999999999999999999
UTC	integer	- 1
UTC	bigint	0
UTC	bigint	-0
UTC	bigint	+5
UTC	bigint	 42 
UTC	bigint	007
UTC	bigint	-9223372036854775808
UTC	bigint	9223372036854775807
UTC	bigint	-9223372036854775809
UTC	bigint	9223372036854775808
UTC	bigint	
UTC	bigint	-
UTC	bigint	1.5
UTC	bigint	1e3
UTC	bigint	x
UTC	bigint	4 2
UTC	bigint	0x1A
UTC	bigint	1_000
UTC	bigint	99999999999999999999999999
UTC	bigint	- 1
UTC	real	0
UTC	real	-0
UTC	real	1
UTC	real	-1
UTC	real	0.1
UTC	real	1.5
UTC	real	100
UTC	real	123456
UTC	real	999999
UTC	real	1000000
UTC	real	1234567
UTC	real	99999.9
UTC	real	123456789
UTC	real	0.0001
UTC	real	0.00001
UTC	real	0.000123
UTC	real	1e5
UTC	real	1e6
UTC	real	1e7
UTC	real	1e14
UTC	real	1e15
UTC	real	1e16
UTC	real	123456789012345
UTC	real	1234567890123456
UTC	real	0.30000000000000004
UTC	real	3.14159265358979323846
UTC	real	1e-5
UTC	real	1e-10
UTC	real	1e20
UTC	real	1e+20
UTC	real	1E20
UTC	real	-1.5e-7
UTC	real	NaN
UTC	real	nan
UTC	real	Infinity
UTC	real	-Infinity
UTC	real	inf
UTC	real	-inf
UTC	real	+Infinity
UTC	real	1e38
UTC	real	3.4e38
UTC	real	3.5e38
UTC	real	1e39
UTC	real	1e308
UTC	real	1e309
UTC	real	1e-45
UTC	real	1e-46
UTC	real	1e-323
UTC	real	1e-325
UTC	real	1.7976931348623157e308
UTC	real	2.2250738585072014e-308
UTC	real	.5
UTC	real	5.
UTC	real	  2.5  
UTC	real	
UTC	real	x
UTC	real	1.2.3
UTC	real	1e
UTC	real	--1
UTC	real	1 2
UTC	real	0e999
UTC	real	infin
UTC	real	+
UTC	real	5e-324
UTC	real	16777217
UTC	real	33554432
UTC	real	9007199254740993
UTC	real	12345678.9
UTC	real	0.1e1
UTC	double precision	0
UTC	double precision	-0
UTC	double precision	1
UTC	double precision	-1
UTC	double precision	0.1
UTC	double precision	1.5
UTC	double precision	100
UTC	double precision	123456
UTC	double precision	999999
UTC	double precision	1000000
UTC	double precision	1234567
UTC	double precision	99999.9
UTC	double precision	123456789
UTC	double precision	0.0001
UTC	double precision	0.00001
UTC	double precision	0.000123
UTC	double precision	1e5
UTC	double precision	1e6
UTC	double precision	1e7
UTC	double precision	1e14
UTC	double precision	1e15
UTC	double precision	1e16
UTC	double precision	123456789012345
UTC	double precision	1234567890123456
UTC	double precision	0.30000000000000004
UTC	double precision	3.14159265358979323846
UTC	double precision	1e-5
UTC	double precision	1e-10
UTC	double precision	1e20
UTC	double precision	1e+20
UTC	double precision	1E20
UTC	double precision	-1.5e-7
UTC	double precision	NaN
UTC	double precision	nan
UTC	double precision	Infinity
UTC	double precision	-Infinity
UTC	double precision	inf
UTC	double precision	-inf
UTC	double precision	+Infinity
UTC	double precision	1e38
UTC	double precision	3.4e38
UTC	double precision	3.5e38
UTC	double precision	1e39
UTC	double precision	1e308
UTC	double precision	1e309
UTC	double precision	1e-45
UTC	double precision	1e-46
UTC	double precision	1e-323
UTC	double precision	1e-325
UTC	double precision	1.7976931348623157e308
UTC	double precision	2.2250738585072014e-308
UTC	double precision	.5
UTC	double precision	5.
UTC	double precision	  2.5  
UTC	double precision	
UTC	double precision	x
UTC	double precision	1.2.3
UTC	double precision	1e
UTC	double precision	--1
UTC	double precision	1 2
UTC	double precision	0e999
UTC	double precision	infin
UTC	double precision	+
UTC	double precision	5e-324
UTC	double precision	16777217
UTC	double precision	33554432
UTC	double precision	9007199254740993
UTC	double precision	12345678.9
UTC	double precision	0.1e1
UTC	numeric	0
UTC	numeric	-0
UTC	numeric	1
UTC	numeric	-1
UTC	numeric	1.5
UTC	numeric	0.1
UTC	numeric	-0.001
UTC	numeric	123456789012345678901234567890.123456789
UTC	numeric	10000
UTC	numeric	100000000
UTC	numeric	9999
UTC	numeric	10001
UTC	numeric	0.0001
UTC	numeric	0.00001
UTC	numeric	1e3
UTC	numeric	1e-3
UTC	numeric	1.2e5
UTC	numeric	.5
UTC	numeric	5.
UTC	numeric	 7 
UTC	numeric	
UTC	numeric	x
UTC	numeric	1.2.3
UTC	numeric	1e
UTC	numeric	12345
UTC	numeric	99990000
UTC	numeric	0.00010001
UTC	numeric	1e100
UTC	numeric	1e-100
UTC	numeric	123e20
UTC	numeric	-99999999.99999999
UTC	numeric	1e1001x
UTC	numeric	+3.25
UTC	numeric	1234567.891
UTC	numeric	0.1234567
UTC	numeric	00012
UTC	numeric	50000000000
UTC	numeric(5,2)	0
UTC	numeric(5,2)	1
UTC	numeric(5,2)	1.5
UTC	numeric(5,2)	1.505
UTC	numeric(5,2)	1.515
UTC	numeric(5,2)	-1.005
UTC	numeric(5,2)	999.99
UTC	numeric(5,2)	999.995
UTC	numeric(5,2)	999.994
UTC	numeric(5,2)	1000
UTC	numeric(5,2)	-1000
UTC	numeric(5,2)	0.001
UTC	numeric(5,2)	0.005
UTC	numeric(5,2)	-0.005
UTC	numeric(5,2)	12.3
UTC	numeric(5,2)	1e2
UTC	numeric(5,2)	1e3
UTC	numeric(5,2)	99.999
UTC	numeric(5,2)	x
UTC	numeric(3,3)	0.5
UTC	numeric(3,3)	0.9995
UTC	numeric(3,3)	1
UTC	numeric(3,3)	-0.1234
UTC	numeric(3,3)	0
UTC	numeric(4,0)	1.5
UTC	numeric(4,0)	2.5
UTC	numeric(4,0)	-0.5
UTC	numeric(4,0)	9999.4
UTC	numeric(4,0)	9999.5
UTC	numeric(4,0)	0.4
UTC	text	
UTC	text	abc
UTC	text	äöü
UTC	text	 a 
UTC	text	a\tb\nc
UTC	text	"q"
UTC	text	\\
UTC	text	𝄞
UTC	text	null
UTC	character varying(3)	
UTC	character varying(3)	abc
UTC	character varying(3)	abcd
UTC	character varying(3)	ab 
UTC	character varying(3)	abc   
UTC	character varying(3)	äöü
UTC	character varying(3)	äöüß
UTC	character varying(3)	a
UTC	character(3)	
UTC	character(3)	a
UTC	character(3)	abc
UTC	character(3)	abcd
UTC	character(3)	ab 
UTC	character(3)	abc  
UTC	character(3)	ä
UTC	bytea	
UTC	bytea	\\x
UTC	bytea	\\x00ff
UTC	bytea	\\xDEadBEEF
UTC	bytea	\\x de ad
UTC	bytea	\\xd
UTC	bytea	\\xzz
UTC	bytea	\\x0
UTC	bytea	abc
UTC	bytea	a\\\\b
UTC	bytea	\\000\\377
UTC	bytea	\\400
UTC	bytea	\\9
UTC	bytea	\\
UTC	bytea	ä
UTC	bytea	\\x d e
UTC	date	2026-11-30
UTC	date	0001-01-01
UTC	date	9999-12-31
UTC	date	10000-01-01
UTC	date	5874897-12-31
UTC	date	5874898-01-01
UTC	date	4713-11-24 BC
UTC	date	4714-11-24 BC
UTC	date	4714-11-23 BC
UTC	date	0044-03-15 BC
UTC	date	44-03-15 BC
UTC	date	1/8/1999
UTC	date	1/18/1999
UTC	date	18/1/1999
UTC	date	01/02/03
UTC	date	1999-Jan-08
UTC	date	Jan-08-1999
UTC	date	08-Jan-1999
UTC	date	99-Jan-08
UTC	date	08-Jan-99
UTC	date	Jan-08-99
UTC	date	19990108
UTC	date	990108
UTC	date	1999.008
UTC	date	J2451187
UTC	date	January 8, 99 BC
UTC	date	January 8, 1999
UTC	date	8 January 1999
UTC	date	Mon Jan 8 1999
UTC	date	epoch
UTC	date	2024-02-29
UTC	date	2023-02-29
UTC	date	2023-02-30
UTC	date	2023-13-01
UTC	date	2023-00-10
UTC	date	2023-01-32
UTC	date	0000-01-01
UTC	date	
UTC	date	x
UTC	date	2026-11-30 12:00
UTC	date	2026-11-30T12:00:00Z
UTC	date	2026-11
UTC	date	2026
UTC	date	12:00
UTC	date	2026/11/30
UTC	date	2026.11.30
UTC	date	20261130T120000
UTC	date	2026-11-30 BC
UTC	date	2026-366
UTC	date	2024-366
UTC	date	2023-366
UTC	date	1999-01
UTC	date	Feb 29 2024
UTC	date	29 Feb 2023
UTC	date	2026-1-5
UTC	date	2026-1-5 foo
UTC	date	1999 Jan 08
UTC	date	Jan 08 1999 AD
UTC	date	sept 5 2020
UTC	date	99999999
UTC	date	2026--11-30
UTC	date	allballs
UTC	date	2026-11-30 infinity
UTC	timestamp with time zone	2026-11-30 12:34:56
UTC	timestamp with time zone	2026-11-30T12:34:56
UTC	timestamp with time zone	2026-11-30T12:34:56Z
UTC	timestamp with time zone	2026-11-30 12:34:56.7
UTC	timestamp with time zone	2026-11-30 12:34:56.789012
UTC	timestamp with time zone	2026-11-30 12:34:56.7890125
UTC	timestamp with time zone	2026-11-30 12:34:56.7890135
UTC	timestamp with time zone	2026-11-30 12:34:56.123456789
UTC	timestamp with time zone	2026-11-30 23:59:59.9999999
UTC	timestamp with time zone	2026-11-30 12:34:56.100000
UTC	timestamp with time zone	2026-11-30 12:34
UTC	timestamp with time zone	2026-11-30 12
UTC	timestamp with time zone	2026-11-30
UTC	timestamp with time zone	2026-11-30 24:00:00
UTC	timestamp with time zone	2026-11-30 24:00:01
UTC	timestamp with time zone	2026-11-30 25:00
UTC	timestamp with time zone	2026-11-30 12:60
UTC	timestamp with time zone	2026-11-30 12:34:60
UTC	timestamp with time zone	2026-11-30 12:34:61
UTC	timestamp with time zone	2026-11-30 12:34:56+02
UTC	timestamp with time zone	2026-11-30 12:34:56+02:30
UTC	timestamp with time zone	2026-11-30 12:34:56-0230
UTC	timestamp with time zone	2026-11-30 12:34:56 +02:30:15
UTC	timestamp with time zone	2026-11-30 12:34:56+16
UTC	timestamp with time zone	2026-11-30 12:34:56+15:59:59
UTC	timestamp with time zone	2026-11-30 12:34:56 UTC
UTC	timestamp with time zone	2026-11-30 12:34:56 PST
UTC	timestamp with time zone	2026-11-30 12:34:56 Europe/Berlin
UTC	timestamp with time zone	2026-07-30 12:34:56 Europe/Berlin
UTC	timestamp with time zone	2026-11-30 12:34:56 america/new_york
UTC	timestamp with time zone	2026-11-30 12:34:56 Mars/Phobos
UTC	timestamp with time zone	2026-11-30 12:34:56 xyz
UTC	timestamp with time zone	2026-11-30 12:34:56 PM
UTC	timestamp with time zone	2026-11-30 01:34 PM
UTC	timestamp with time zone	2026-11-30 12:34 AM
UTC	timestamp with time zone	2026-11-30 13:34 PM
UTC	timestamp with time zone	0001-01-01 00:00:00
UTC	timestamp with time zone	0001-01-01 00:00:00Z
UTC	timestamp with time zone	0001-01-01 00:00:00+00
UTC	timestamp with time zone	0044-03-15 12:00 BC
UTC	timestamp with time zone	4714-11-24 00:00:00 BC
UTC	timestamp with time zone	4714-11-23 23:59:59 BC
UTC	timestamp with time zone	10000-01-01 00:00
UTC	timestamp with time zone	20000-07-01 12:00:00Z
UTC	timestamp with time zone	294246-12-31 23:59:59
UTC	timestamp with time zone	294277-01-01
UTC	timestamp with time zone	20261130 123456
UTC	timestamp with time zone	20261130T123456
UTC	timestamp with time zone	20261130T123456.5
UTC	timestamp with time zone	20261130T123456Z
UTC	timestamp with time zone	2026-11-30 1234
UTC	timestamp with time zone	20261130123456
UTC	timestamp with time zone	Nov 30, 2026 12:34
UTC	timestamp with time zone	30 Nov 2026 12:34
UTC	timestamp with time zone	Mon Nov 30 12:34:56 2026
UTC	timestamp with time zone	Mon Nov 30 12:34:56 2026 PST
UTC	timestamp with time zone	11/30/2026 12:34
UTC	timestamp with time zone	30/11/2026
UTC	timestamp with time zone	epoch
UTC	timestamp with time zone	1970-01-01 00:00:00
UTC	timestamp with time zone	1969-12-31 23:59:59.999999
UTC	timestamp with time zone	2000-01-01
UTC	timestamp with time zone	1883-11-18 12:00:00
UTC	timestamp with time zone	1900-01-01 00:00:00
UTC	timestamp with time zone	1945-05-24 02:30:00
UTC	timestamp with time zone	2026-03-29 02:30:00
UTC	timestamp with time zone	2026-10-25 02:30:00
UTC	timestamp with time zone	2026-03-08 02:30
UTC	timestamp with time zone	2026-11-01 01:30
UTC	timestamp with time zone	2024-02-29 12:00
UTC	timestamp with time zone	2023-02-29 12:00
UTC	timestamp with time zone	0000-01-01 00:00
UTC	timestamp with time zone	
UTC	timestamp with time zone	x
UTC	timestamp with time zone	2026-11-30 x
UTC	timestamp with time zone	12:00
UTC	timestamp with time zone	2026-13-01 00:00
UTC	timestamp with time zone	2026-11-30 12:34:56.
UTC	timestamp with time zone	2026-11-30 12:34:.5
UTC	timestamp with time zone	2026-11-30  12:34:56
UTC	timestamp with time zone	  2026-11-30 12:34:56  
UTC	timestamp with time zone	2026-11-30 12:34:56+
UTC	timestamp with time zone	2026-11-30 12:34:56 + 2
UTC	timestamp with time zone	2026-11-30T12:34:56.123456789+01:00
UTC	timestamp with time zone	2026-11-30 12:34:56z
UTC	timestamp with time zone	2026-11-30 12:34:56 12:00
UTC	timestamp with time zone	2026-11-30 2026-11-30
UTC	timestamp with time zone	2026-11-30T
UTC	timestamp with time zone	J2461375
UTC	timestamp with time zone	J2461375.5
UTC	timestamp with time zone	2026-11-30 12:34:56 BC
UTC	timestamp with time zone	2026-11-30 12:34:56 AD
UTC	timestamp with time zone	9999-12-31 23:59:59.999999
UTC	timestamp with time zone	2026-11-30 12:34:56+00:00
UTC	timestamp with time zone	2026-11-30 12:34:56 -08
UTC	timestamp with time zone	2026-11-30 allballs
UTC	timestamp with time zone	2026-11-30 12:34:56.7890125+01
UTC	timestamp with time zone	2026-11-30T12:34:56+0100
UTC	timestamp with time zone	2026-11-30 12:34:56+01:00:00
UTC	timestamp with time zone	2026-11-30T12:34:56.5z
UTC	timestamp with time zone	20261130T123456-0830
UTC	timestamp with time zone	2026-11-30 123456-0830
UTC	timestamp with time zone	2026-11-30,12:34
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56
Europe/Berlin	timestamp with time zone	2026-11-30T12:34:56
Europe/Berlin	timestamp with time zone	2026-11-30T12:34:56Z
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56.7
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56.789012
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56.7890125
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56.7890135
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56.123456789
Europe/Berlin	timestamp with time zone	2026-11-30 23:59:59.9999999
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56.100000
Europe/Berlin	timestamp with time zone	2026-11-30 12:34
Europe/Berlin	timestamp with time zone	2026-11-30 12
Europe/Berlin	timestamp with time zone	2026-11-30
Europe/Berlin	timestamp with time zone	2026-11-30 24:00:00
Europe/Berlin	timestamp with time zone	2026-11-30 24:00:01
Europe/Berlin	timestamp with time zone	2026-11-30 25:00
Europe/Berlin	timestamp with time zone	2026-11-30 12:60
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:60
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:61
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56+02
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56+02:30
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56-0230
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56 +02:30:15
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56+16
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56+15:59:59
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56 UTC
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56 PST
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56 Europe/Berlin
Europe/Berlin	timestamp with time zone	2026-07-30 12:34:56 Europe/Berlin
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56 america/new_york
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56 Mars/Phobos
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56 xyz
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56 PM
Europe/Berlin	timestamp with time zone	2026-11-30 01:34 PM
Europe/Berlin	timestamp with time zone	2026-11-30 12:34 AM
Europe/Berlin	timestamp with time zone	2026-11-30 13:34 PM
Europe/Berlin	timestamp with time zone	0001-01-01 00:00:00
Europe/Berlin	timestamp with time zone	0001-01-01 00:00:00Z
Europe/Berlin	timestamp with time zone	0001-01-01 00:00:00+00
Europe/Berlin	timestamp with time zone	0044-03-15 12:00 BC
Europe/Berlin	timestamp with time zone	4714-11-24 00:00:00 BC
Europe/Berlin	timestamp with time zone	4714-11-23 23:59:59 BC
Europe/Berlin	timestamp with time zone	10000-01-01 00:00
Europe/Berlin	timestamp with time zone	20000-07-01 12:00:00Z
Europe/Berlin	timestamp with time zone	294246-12-31 23:59:59
Europe/Berlin	timestamp with time zone	294277-01-01
Europe/Berlin	timestamp with time zone	20261130 123456
Europe/Berlin	timestamp with time zone	20261130T123456
Europe/Berlin	timestamp with time zone	20261130T123456.5
Europe/Berlin	timestamp with time zone	20261130T123456Z
Europe/Berlin	timestamp with time zone	2026-11-30 1234
Europe/Berlin	timestamp with time zone	20261130123456
Europe/Berlin	timestamp with time zone	Nov 30, 2026 12:34
Europe/Berlin	timestamp with time zone	30 Nov 2026 12:34
Europe/Berlin	timestamp with time zone	Mon Nov 30 12:34:56 2026
Europe/Berlin	timestamp with time zone	Mon Nov 30 12:34:56 2026 PST
Europe/Berlin	timestamp with time zone	11/30/2026 12:34
Europe/Berlin	timestamp with time zone	30/11/2026
Europe/Berlin	timestamp with time zone	epoch
Europe/Berlin	timestamp with time zone	1970-01-01 00:00:00
Europe/Berlin	timestamp with time zone	1969-12-31 23:59:59.999999
Europe/Berlin	timestamp with time zone	2000-01-01
Europe/Berlin	timestamp with time zone	1883-11-18 12:00:00
Europe/Berlin	timestamp with time zone	1900-01-01 00:00:00
Europe/Berlin	timestamp with time zone	1945-05-24 02:30:00
Europe/Berlin	timestamp with time zone	2026-03-29 02:30:00
Europe/Berlin	timestamp with time zone	2026-10-25 02:30:00
Europe/Berlin	timestamp with time zone	2026-03-08 02:30
Europe/Berlin	timestamp with time zone	2026-11-01 01:30
Europe/Berlin	timestamp with time zone	2024-02-29 12:00
Europe/Berlin	timestamp with time zone	2023-02-29 12:00
Europe/Berlin	timestamp with time zone	0000-01-01 00:00
Europe/Berlin	timestamp with time zone	
Europe/Berlin	timestamp with time zone	x
Europe/Berlin	timestamp with time zone	2026-11-30 x
Europe/Berlin	timestamp with time zone	12:00
Europe/Berlin	timestamp with time zone	2026-13-01 00:00
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56.
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:.5
Europe/Berlin	timestamp with time zone	2026-11-30  12:34:56
Europe/Berlin	timestamp with time zone	  2026-11-30 12:34:56  
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56+
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56 + 2
Europe/Berlin	timestamp with time zone	2026-11-30T12:34:56.123456789+01:00
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56z
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56 12:00
Europe/Berlin	timestamp with time zone	2026-11-30 2026-11-30
Europe/Berlin	timestamp with time zone	2026-11-30T
Europe/Berlin	timestamp with time zone	J2461375
Europe/Berlin	timestamp with time zone	J2461375.5
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56 BC
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56 AD
Europe/Berlin	timestamp with time zone	9999-12-31 23:59:59.999999
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56+00:00
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56 -08
Europe/Berlin	timestamp with time zone	2026-11-30 allballs
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56.7890125+01
Europe/Berlin	timestamp with time zone	2026-11-30T12:34:56+0100
Europe/Berlin	timestamp with time zone	2026-11-30 12:34:56+01:00:00
Europe/Berlin	timestamp with time zone	2026-11-30T12:34:56.5z
Europe/Berlin	timestamp with time zone	20261130T123456-0830
Europe/Berlin	timestamp with time zone	2026-11-30 123456-0830
Europe/Berlin	timestamp with time zone	2026-11-30,12:34
America/New_York	timestamp with time zone	2026-11-30 12:34:56
America/New_York	timestamp with time zone	2026-11-30T12:34:56
America/New_York	timestamp with time zone	2026-11-30T12:34:56Z
America/New_York	timestamp with time zone	2026-11-30 12:34:56.7
America/New_York	timestamp with time zone	2026-11-30 12:34:56.789012
America/New_York	timestamp with time zone	2026-11-30 12:34:56.7890125
America/New_York	timestamp with time zone	2026-11-30 12:34:56.7890135
America/New_York	timestamp with time zone	2026-11-30 12:34:56.123456789
America/New_York	timestamp with time zone	2026-11-30 23:59:59.9999999
America/New_York	timestamp with time zone	2026-11-30 12:34:56.100000
America/New_York	timestamp with time zone	2026-11-30 12:34
America/New_York	timestamp with time zone	2026-11-30 12
America/New_York	timestamp with time zone	2026-11-30
America/New_York	timestamp with time zone	2026-11-30 24:00:00
America/New_York	timestamp with time zone	2026-11-30 24:00:01
America/New_York	timestamp with time zone	2026-11-30 25:00
America/New_York	timestamp with time zone	2026-11-30 12:60
America/New_York	timestamp with time zone	2026-11-30 12:34:60
America/New_York	timestamp with time zone	2026-11-30 12:34:61
America/New_York	timestamp with time zone	2026-11-30 12:34:56+02
America/New_York	timestamp with time zone	2026-11-30 12:34:56+02:30
America/New_York	timestamp with time zone	2026-11-30 12:34:56-0230
America/New_York	timestamp with time zone	2026-11-30 12:34:56 +02:30:15
America/New_York	timestamp with time zone	2026-11-30 12:34:56+16
America/New_York	timestamp with time zone	2026-11-30 12:34:56+15:59:59
America/New_York	timestamp with time zone	2026-11-30 12:34:56 UTC
America/New_York	timestamp with time zone	2026-11-30 12:34:56 PST
America/New_York	timestamp with time zone	2026-11-30 12:34:56 Europe/Berlin
America/New_York	timestamp with time zone	2026-07-30 12:34:56 Europe/Berlin
America/New_York	timestamp with time zone	2026-11-30 12:34:56 america/new_york
America/New_York	timestamp with time zone	2026-11-30 12:34:56 Mars/Phobos
America/New_York	timestamp with time zone	2026-11-30 12:34:56 xyz
America/New_York	timestamp with time zone	2026-11-30 12:34:56 PM
America/New_York	timestamp with time zone	2026-11-30 01:34 PM
America/New_York	timestamp with time zone	2026-11-30 12:34 AM
America/New_York	timestamp with time zone	2026-11-30 13:34 PM
America/New_York	timestamp with time zone	0001-01-01 00:00:00
America/New_York	timestamp with time zone	0001-01-01 00:00:00Z
America/New_York	timestamp with time zone	0001-01-01 00:00:00+00
America/New_York	timestamp with time zone	0044-03-15 12:00 BC
America/New_York	timestamp with time zone	4714-11-24 00:00:00 BC
America/New_York	timestamp with time zone	4714-11-23 23:59:59 BC
America/New_York	timestamp with time zone	10000-01-01 00:00
America/New_York	timestamp with time zone	20000-07-01 12:00:00Z
America/New_York	timestamp with time zone	294246-12-31 23:59:59
America/New_York	timestamp with time zone	294277-01-01
America/New_York	timestamp with time zone	20261130 123456
America/New_York	timestamp with time zone	20261130T123456
America/New_York	timestamp with time zone	20261130T123456.5
America/New_York	timestamp with time zone	20261130T123456Z
America/New_York	timestamp with time zone	2026-11-30 1234
America/New_York	timestamp with time zone	20261130123456
America/New_York	timestamp with time zone	Nov 30, 2026 12:34
America/New_York	timestamp with time zone	30 Nov 2026 12:34
America/New_York	timestamp with time zone	Mon Nov 30 12:34:56 2026
America/New_York	timestamp with time zone	Mon Nov 30 12:34:56 2026 PST
America/New_York	timestamp with time zone	11/30/2026 12:34
America/New_York	timestamp with time zone	30/11/2026
America/New_York	timestamp with time zone	epoch
America/New_York	timestamp with time zone	1970-01-01 00:00:00
America/New_York	timestamp with time zone	1969-12-31 23:59:59.999999
America/New_York	timestamp with time zone	2000-01-01
America/New_York	timestamp with time zone	1883-11-18 12:00:00
America/New_York	timestamp with time zone	1900-01-01 00:00:00
America/New_York	timestamp with time zone	1945-05-24 02:30:00
America/New_York	timestamp with time zone	2026-03-29 02:30:00
America/New_York	timestamp with time zone	2026-10-25 02:30:00
America/New_York	timestamp with time zone	2026-03-08 02:30
America/New_York	timestamp with time zone	2026-11-01 01:30
America/New_York	timestamp with time zone	2024-02-29 12:00
America/New_York	timestamp with time zone	2023-02-29 12:00
America/New_York	timestamp with time zone	0000-01-01 00:00
America/New_York	timestamp with time zone	
America/New_York	timestamp with time zone	x
America/New_York	timestamp with time zone	2026-11-30 x
America/New_York	timestamp with time zone	12:00
America/New_York	timestamp with time zone	2026-13-01 00:00
America/New_York	timestamp with time zone	2026-11-30 12:34:56.
America/New_York	timestamp with time zone	2026-11-30 12:34:.5
America/New_York	timestamp with time zone	2026-11-30  12:34:56
America/New_York	timestamp with time zone	  2026-11-30 12:34:56  
America/New_York	timestamp with time zone	2026-11-30 12:34:56+
America/New_York	timestamp with time zone	2026-11-30 12:34:56 + 2
America/New_York	timestamp with time zone	2026-11-30T12:34:56.123456789+01:00
America/New_York	timestamp with time zone	2026-11-30 12:34:56z
America/New_York	timestamp with time zone	2026-11-30 12:34:56 12:00
America/New_York	timestamp with time zone	2026-11-30 2026-11-30
America/New_York	timestamp with time zone	2026-11-30T
America/New_York	timestamp with time zone	J2461375
America/New_York	timestamp with time zone	J2461375.5
America/New_York	timestamp with time zone	2026-11-30 12:34:56 BC
America/New_York	timestamp with time zone	2026-11-30 12:34:56 AD
America/New_York	timestamp with time zone	9999-12-31 23:59:59.999999
America/New_York	timestamp with time zone	2026-11-30 12:34:56+00:00
America/New_York	timestamp with time zone	2026-11-30 12:34:56 -08
America/New_York	timestamp with time zone	2026-11-30 allballs
America/New_York	timestamp with time zone	2026-11-30 12:34:56.7890125+01
America/New_York	timestamp with time zone	2026-11-30T12:34:56+0100
America/New_York	timestamp with time zone	2026-11-30 12:34:56+01:00:00
America/New_York	timestamp with time zone	2026-11-30T12:34:56.5z
America/New_York	timestamp with time zone	20261130T123456-0830
America/New_York	timestamp with time zone	2026-11-30 123456-0830
America/New_York	timestamp with time zone	2026-11-30,12:34
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56
Asia/Kolkata	timestamp with time zone	2026-11-30T12:34:56
Asia/Kolkata	timestamp with time zone	2026-11-30T12:34:56Z
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56.7
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56.789012
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56.7890125
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56.7890135
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56.123456789
Asia/Kolkata	timestamp with time zone	2026-11-30 23:59:59.9999999
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56.100000
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34
Asia/Kolkata	timestamp with time zone	2026-11-30 12
Asia/Kolkata	timestamp with time zone	2026-11-30
Asia/Kolkata	timestamp with time zone	2026-11-30 24:00:00
Asia/Kolkata	timestamp with time zone	2026-11-30 24:00:01
Asia/Kolkata	timestamp with time zone	2026-11-30 25:00
Asia/Kolkata	timestamp with time zone	2026-11-30 12:60
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:60
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:61
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56+02
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56+02:30
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56-0230
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56 +02:30:15
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56+16
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56+15:59:59
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56 UTC
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56 PST
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56 Europe/Berlin
Asia/Kolkata	timestamp with time zone	2026-07-30 12:34:56 Europe/Berlin
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56 america/new_york
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56 Mars/Phobos
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56 xyz
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56 PM
Asia/Kolkata	timestamp with time zone	2026-11-30 01:34 PM
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34 AM
Asia/Kolkata	timestamp with time zone	2026-11-30 13:34 PM
Asia/Kolkata	timestamp with time zone	0001-01-01 00:00:00
Asia/Kolkata	timestamp with time zone	0001-01-01 00:00:00Z
Asia/Kolkata	timestamp with time zone	0001-01-01 00:00:00+00
Asia/Kolkata	timestamp with time zone	0044-03-15 12:00 BC
Asia/Kolkata	timestamp with time zone	4714-11-24 00:00:00 BC
Asia/Kolkata	timestamp with time zone	4714-11-23 23:59:59 BC
Asia/Kolkata	timestamp with time zone	10000-01-01 00:00
Asia/Kolkata	timestamp with time zone	20000-07-01 12:00:00Z
Asia/Kolkata	timestamp with time zone	294246-12-31 23:59:59
Asia/Kolkata	timestamp with time zone	294277-01-01
Asia/Kolkata	timestamp with time zone	20261130 123456
Asia/Kolkata	timestamp with time zone	20261130T123456
Asia/Kolkata	timestamp with time zone	20261130T123456.5
Asia/Kolkata	timestamp with time zone	20261130T123456Z
Asia/Kolkata	timestamp with time zone	2026-11-30 1234
Asia/Kolkata	timestamp with time zone	20261130123456
Asia/Kolkata	timestamp with time zone	Nov 30, 2026 12:34
Asia/Kolkata	timestamp with time zone	30 Nov 2026 12:34
Asia/Kolkata	timestamp with time zone	Mon Nov 30 12:34:56 2026
Asia/Kolkata	timestamp with time zone	Mon Nov 30 12:34:56 2026 PST
Asia/Kolkata	timestamp with time zone	11/30/2026 12:34
Asia/Kolkata	timestamp with time zone	30/11/2026
Asia/Kolkata	timestamp with time zone	epoch
Asia/Kolkata	timestamp with time zone	1970-01-01 00:00:00
Asia/Kolkata	timestamp with time zone	1969-12-31 23:59:59.999999
Asia/Kolkata	timestamp with time zone	2000-01-01
Asia/Kolkata	timestamp with time zone	1883-11-18 12:00:00
Asia/Kolkata	timestamp with time zone	1900-01-01 00:00:00
Asia/Kolkata	timestamp with time zone	1945-05-24 02:30:00
Asia/Kolkata	timestamp with time zone	2026-03-29 02:30:00
Asia/Kolkata	timestamp with time zone	2026-10-25 02:30:00
Asia/Kolkata	timestamp with time zone	2026-03-08 02:30
Asia/Kolkata	timestamp with time zone	2026-11-01 01:30
Asia/Kolkata	timestamp with time zone	2024-02-29 12:00
Asia/Kolkata	timestamp with time zone	2023-02-29 12:00
Asia/Kolkata	timestamp with time zone	0000-01-01 00:00
Asia/Kolkata	timestamp with time zone	
Asia/Kolkata	timestamp with time zone	x
Asia/Kolkata	timestamp with time zone	2026-11-30 x
Asia/Kolkata	timestamp with time zone	12:00
Asia/Kolkata	timestamp with time zone	2026-13-01 00:00
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56.
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:.5
Asia/Kolkata	timestamp with time zone	2026-11-30  12:34:56
Asia/Kolkata	timestamp with time zone	  2026-11-30 12:34:56  
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56+
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56 + 2
Asia/Kolkata	timestamp with time zone	2026-11-30T12:34:56.123456789+01:00
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56z
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56 12:00
Asia/Kolkata	timestamp with time zone	2026-11-30 2026-11-30
Asia/Kolkata	timestamp with time zone	2026-11-30T
Asia/Kolkata	timestamp with time zone	J2461375
Asia/Kolkata	timestamp with time zone	J2461375.5
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56 BC
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56 AD
Asia/Kolkata	timestamp with time zone	9999-12-31 23:59:59.999999
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56+00:00
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56 -08
Asia/Kolkata	timestamp with time zone	2026-11-30 allballs
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56.7890125+01
Asia/Kolkata	timestamp with time zone	2026-11-30T12:34:56+0100
Asia/Kolkata	timestamp with time zone	2026-11-30 12:34:56+01:00:00
Asia/Kolkata	timestamp with time zone	2026-11-30T12:34:56.5z
Asia/Kolkata	timestamp with time zone	20261130T123456-0830
Asia/Kolkata	timestamp with time zone	2026-11-30 123456-0830
Asia/Kolkata	timestamp with time zone	2026-11-30,12:34
Europe/Stockholm	timestamp with time zone	0001-01-01 00:00:00Z
Europe/Stockholm	timestamp with time zone	2026-07-01 12:00
Europe/Stockholm	timestamp with time zone	0044-03-15 12:00 BC
Europe/Stockholm	timestamp with time zone	1850-01-01 00:00
Asia/Kathmandu	timestamp with time zone	0001-01-01 00:00:00Z
Asia/Kathmandu	timestamp with time zone	2026-07-01 12:00
America/Los_Angeles	timestamp with time zone	0001-01-01 00:00:00Z
America/Los_Angeles	timestamp with time zone	0001-01-01 00:00
Atlantic/Reykjavik	timestamp with time zone	0001-01-01 00:00:00Z
Atlantic/Reykjavik	timestamp with time zone	2026-07-01 12:00
UTC	timestamp without time zone	2026-11-30 12:34:56
UTC	timestamp without time zone	2026-11-30T12:34:56
UTC	timestamp without time zone	2026-11-30T12:34:56Z
UTC	timestamp without time zone	2026-11-30 12:34:56.7
UTC	timestamp without time zone	2026-11-30 12:34:56.789012
UTC	timestamp without time zone	2026-11-30 12:34:56.7890125
UTC	timestamp without time zone	2026-11-30 12:34:56.7890135
UTC	timestamp without time zone	2026-11-30 12:34:56.123456789
UTC	timestamp without time zone	2026-11-30 23:59:59.9999999
UTC	timestamp without time zone	2026-11-30 12:34:56.100000
UTC	timestamp without time zone	2026-11-30 12:34
UTC	timestamp without time zone	2026-11-30 12
UTC	timestamp without time zone	2026-11-30
UTC	timestamp without time zone	2026-11-30 24:00:00
UTC	timestamp without time zone	2026-11-30 24:00:01
UTC	timestamp without time zone	2026-11-30 25:00
UTC	timestamp without time zone	2026-11-30 12:60
UTC	timestamp without time zone	2026-11-30 12:34:60
UTC	timestamp without time zone	2026-11-30 12:34:61
UTC	timestamp without time zone	2026-11-30 12:34:56+02
UTC	timestamp without time zone	2026-11-30 12:34:56+02:30
UTC	timestamp without time zone	2026-11-30 12:34:56-0230
UTC	timestamp without time zone	2026-11-30 12:34:56 +02:30:15
UTC	timestamp without time zone	2026-11-30 12:34:56+16
UTC	timestamp without time zone	2026-11-30 12:34:56+15:59:59
UTC	timestamp without time zone	2026-11-30 12:34:56 UTC
UTC	timestamp without time zone	2026-11-30 12:34:56 PST
UTC	timestamp without time zone	2026-11-30 12:34:56 Europe/Berlin
UTC	timestamp without time zone	2026-07-30 12:34:56 Europe/Berlin
UTC	timestamp without time zone	2026-11-30 12:34:56 america/new_york
UTC	timestamp without time zone	2026-11-30 12:34:56 Mars/Phobos
UTC	timestamp without time zone	2026-11-30 12:34:56 xyz
UTC	timestamp without time zone	2026-11-30 12:34:56 PM
UTC	timestamp without time zone	2026-11-30 01:34 PM
UTC	timestamp without time zone	2026-11-30 12:34 AM
UTC	timestamp without time zone	2026-11-30 13:34 PM
UTC	timestamp without time zone	0001-01-01 00:00:00
UTC	timestamp without time zone	0001-01-01 00:00:00Z
UTC	timestamp without time zone	0001-01-01 00:00:00+00
UTC	timestamp without time zone	0044-03-15 12:00 BC
UTC	timestamp without time zone	4714-11-24 00:00:00 BC
UTC	timestamp without time zone	4714-11-23 23:59:59 BC
UTC	timestamp without time zone	10000-01-01 00:00
UTC	timestamp without time zone	20000-07-01 12:00:00Z
UTC	timestamp without time zone	294246-12-31 23:59:59
UTC	timestamp without time zone	294277-01-01
UTC	timestamp without time zone	20261130 123456
UTC	timestamp without time zone	20261130T123456
UTC	timestamp without time zone	20261130T123456.5
UTC	timestamp without time zone	20261130T123456Z
UTC	timestamp without time zone	2026-11-30 1234
UTC	timestamp without time zone	20261130123456
UTC	timestamp without time zone	Nov 30, 2026 12:34
UTC	timestamp without time zone	30 Nov 2026 12:34
UTC	timestamp without time zone	Mon Nov 30 12:34:56 2026
UTC	timestamp without time zone	Mon Nov 30 12:34:56 2026 PST
UTC	timestamp without time zone	11/30/2026 12:34
UTC	timestamp without time zone	30/11/2026
UTC	timestamp without time zone	epoch
UTC	timestamp without time zone	1970-01-01 00:00:00
UTC	timestamp without time zone	1969-12-31 23:59:59.999999
UTC	timestamp without time zone	2000-01-01
UTC	timestamp without time zone	1883-11-18 12:00:00
UTC	timestamp without time zone	1900-01-01 00:00:00
UTC	timestamp without time zone	1945-05-24 02:30:00
UTC	timestamp without time zone	2026-03-29 02:30:00
UTC	timestamp without time zone	2026-10-25 02:30:00
UTC	timestamp without time zone	2026-03-08 02:30
UTC	timestamp without time zone	2026-11-01 01:30
UTC	timestamp without time zone	2024-02-29 12:00
UTC	timestamp without time zone	2023-02-29 12:00
UTC	timestamp without time zone	0000-01-01 00:00
UTC	timestamp without time zone	
UTC	timestamp without time zone	x
UTC	timestamp without time zone	2026-11-30 x
UTC	timestamp without time zone	12:00
UTC	timestamp without time zone	2026-13-01 00:00
UTC	timestamp without time zone	2026-11-30 12:34:56.
UTC	timestamp without time zone	2026-11-30 12:34:.5
UTC	timestamp without time zone	2026-11-30  12:34:56
UTC	timestamp without time zone	  2026-11-30 12:34:56  
UTC	timestamp without time zone	2026-11-30 12:34:56+
UTC	timestamp without time zone	2026-11-30 12:34:56 + 2
UTC	timestamp without time zone	2026-11-30T12:34:56.123456789+01:00
UTC	timestamp without time zone	2026-11-30 12:34:56z
UTC	timestamp without time zone	2026-11-30 12:34:56 12:00
UTC	timestamp without time zone	2026-11-30 2026-11-30
UTC	timestamp without time zone	2026-11-30T
UTC	timestamp without time zone	J2461375
UTC	timestamp without time zone	J2461375.5
UTC	timestamp without time zone	2026-11-30 12:34:56 BC
UTC	timestamp without time zone	2026-11-30 12:34:56 AD
UTC	timestamp without time zone	9999-12-31 23:59:59.999999
UTC	timestamp without time zone	2026-11-30 12:34:56+00:00
UTC	timestamp without time zone	2026-11-30 12:34:56 -08
UTC	timestamp without time zone	2026-11-30 allballs
UTC	timestamp without time zone	2026-11-30 12:34:56.7890125+01
UTC	timestamp without time zone	2026-11-30T12:34:56+0100
UTC	timestamp without time zone	2026-11-30 12:34:56+01:00:00
UTC	timestamp without time zone	2026-11-30T12:34:56.5z
UTC	timestamp without time zone	20261130T123456-0830
UTC	timestamp without time zone	2026-11-30 123456-0830
UTC	timestamp without time zone	2026-11-30,12:34
UTC	interval	1 day
UTC	interval	1 year 2 mons 3 days 04:05:06.789
UTC	interval	-1 day +02:03:04
UTC	interval	-1 days -02:03:04
UTC	interval	2 hours ago
UTC	interval	1 day ago
UTC	interval	1 year ago
UTC	interval	1.5 days
UTC	interval	1.5 hours
UTC	interval	1.5 months
UTC	interval	1.5 years
UTC	interval	1.25 weeks
UTC	interval	0.1 month
UTC	interval	-1.5 mons
UTC	interval	1 2:03
UTC	interval	1 2:03:04.5
UTC	interval	1-2
UTC	interval	-1-2
UTC	interval	+1-2
UTC	interval	1-2 3 4:05
UTC	interval	1-13
UTC	interval	90
UTC	interval	90.5
UTC	interval	-90.5
UTC	interval	1h
UTC	interval	1 h 2 m 3 s
UTC	interval	1y2mon3d
UTC	interval	3 us
UTC	interval	1500 ms
UTC	interval	1.0005 ms
UTC	interval	1.0000005 s
UTC	interval	0.0000005 s
UTC	interval	0.0000015 s
UTC	interval	@ 1 minute
UTC	interval	@ 1 minute ago
UTC	interval	1 decade
UTC	interval	1 century
UTC	interval	1 millennium
UTC	interval	1 c 2 dec
UTC	interval	2 weeks
UTC	interval	04:05
UTC	interval	04:05:06
UTC	interval	4:5
UTC	interval	04:05.5
UTC	interval	100:00:00
UTC	interval	-04:05
UTC	interval	+04:05
UTC	interval	1 day 1 day
UTC	interval	1 fortnight
UTC	interval	1 quarter
UTC	interval	
UTC	interval	x
UTC	interval	infinity
UTC	interval	P1Y2M3DT4H5M6S
UTC	interval	P1Y
UTC	interval	P1M
UTC	interval	PT1M
UTC	interval	P1W
UTC	interval	PT1.5H
UTC	interval	P1.5D
UTC	interval	P-1Y2M
UTC	interval	PT-1.5S
UTC	interval	P
UTC	interval	PT
UTC	interval	P1
UTC	interval	1 day 25:00:00
UTC	interval	00:00:60
UTC	interval	00:60
UTC	interval	00:00:61
UTC	interval	9223372036854775807 us
UTC	interval	9223372036854775808 us
UTC	interval	2147483647 days
UTC	interval	2147483648 days
UTC	interval	178956970 years 7 mons
UTC	interval	178956970 years 8 mons
UTC	interval	-178956970 years -8 mons
UTC	interval	2147483647 mons
UTC	interval	2147483648 mons
UTC	interval	3 days 5
UTC	interval	1 hour 30
UTC	interval	1 month -1 day
UTC	interval	1 year -13 months
UTC	interval	-1 year 1 month
UTC	interval	1 day -00:00:01
UTC	interval	microseconds
UTC	interval	5 microseconds
UTC	interval	1 sec 1 msec
UTC	interval	1.1 sec 1 msec
UTC	interval	1 min 1 min
UTC	interval	2562047788:00:54.775807
UTC	interval	2562047789:00:00
UTC	interval	-2562047788:00:54.775808
UTC	interval	1.999999999 s
UTC	interval	0.999999999999 days
UTC	interval	1 timezone
UTC	interval	P1Y2M3D4H
UTC	interval	PT1Y
UTC	interval	p1y
UTC	interval	1 DAY
UTC	interval	1 Days 2 HOURS
UTC	uuid	a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11
UTC	uuid	A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11
UTC	uuid	{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}
UTC	uuid	a0eebc999c0b4ef8bb6d6bb9bd380a11
UTC	uuid	a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11
UTC	uuid	{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}
UTC	uuid	
UTC	uuid	x
UTC	uuid	a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1
UTC	uuid	a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111
UTC	uuid	{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11
UTC	uuid	g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11
UTC	uuid	 a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11
UTC	uuid	-a0eebc999c0b4ef8bb6d6bb9bd380a11
UTC	uuid	a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a11
UTC	jsonb	null
UTC	jsonb	true
UTC	jsonb	1
UTC	jsonb	-1
UTC	jsonb	1.5
UTC	jsonb	"x"
UTC	jsonb	"\\u00e4"
UTC	jsonb	"a\\nb"
UTC	jsonb	[]
UTC	jsonb	{}
UTC	jsonb	[1,2,3]
UTC	jsonb	[1, [2, {"a":null}]]
UTC	jsonb	{"a":1,"b":[true,false]}
UTC	jsonb	{"b":1,"a":2}
UTC	jsonb	  {"a" : 1}  
UTC	jsonb	12345678901234567890
UTC	jsonb	
UTC	jsonb	{
UTC	jsonb	x
UTC	jsonb	[1,]
UTC	jsonb	{"a"}
UTC	jsonb	"\\u0000"
UTC	jsonb	'x'
UTC	jsonb	{"a":"b\\"c"}
UTC	jsonb	1 2
UTC	jsonb	-
UTC	jsonb	01
UTC	jsonb	"\\ud834\\udd1e"
UTC	jsonb	{"bb":1,"a":2,"ccc":3}
UTC	jsonb	1e2
UTC	jsonb	1.50
UTC	jsonb	{"a":1,"a":2}
UTC	jsonb	0.1
UTC	jsonb	-0.0
UTC	jsonb	{"":1}
UTC	point	(1,2)
UTC	point	1,2
UTC	point	 ( 1.5 , -2.5 ) 
UTC	point	(0,0)
UTC	point	(180,90)
UTC	point	(181,0)
UTC	point	(0,91)
UTC	point	(1,2,3)
UTC	point	(1)
UTC	point	
UTC	point	x
UTC	point	(1,2
UTC	point	1,2)
UTC	point	(1e2,2)
UTC	point	(x,2)
UTC	point	(-0.1,89.999999)
UTC	integer[]	{}
UTC	integer[]	{1}
UTC	integer[]	{1,2,3}
UTC	integer[]	 { 1 , 2 } 
UTC	integer[]	{NULL,1,null}
UTC	integer[]	{1,"2"}
UTC	integer[]	{{1,2},{3,4}}
UTC	integer[]	{1,x}
UTC	integer[]	{1,,2}
UTC	integer[]	{1,
UTC	integer[]	{1}x
UTC	integer[]	1
UTC	integer[]	
UTC	integer[]	{99999999999}
UTC	integer[]	{,1}
UTC	integer[]	[2:3]={1,2}
UTC	integer[]	{ }
UTC	integer[]	{1 2}
UTC	integer[]	{1,2,}
UTC	text[]	{}
UTC	text[]	{a,b}
UTC	text[]	{"a b"}
UTC	text[]	{a b}
UTC	text[]	{ a , b }
UTC	text[]	{"",NULL,"NULL",null}
UTC	text[]	{"a\\"b","c\\\\d"}
UTC	text[]	{a\\,b}
UTC	text[]	{"{","}",","}
UTC	text[]	{ä,ß}
UTC	text[]	{"a"x}
UTC	text[]	{x"a"}
UTC	text[]	{"a" }
UTC	text[]	{ "a" ,b}
UTC	text[]	{a
UTC	text[]	{"a
UTC	text[]	{a\\
UTC	text[]	{a}}
UTC	text[]	{{a}}
UTC	text[]	{"a\nb"}
UTC	text[]	{a\tb}
UTC	text[]	{\\"}
UTC	text[]	{""}
UTC	text[]	{"  "}
UTC	text[]	{ab  cd}
UTC	text[]	{"a""b"}
Europe/Berlin	timestamp with time zone[]	{"2026-11-30 12:00",NULL}
Europe/Berlin	timestamp with time zone[]	{2026-11-30}
UTC	boolean[]	{t,f,NULL}
UTC	boolean[]	{yes}
UTC	bytea[]	{"\\\\x00ff",NULL}
UTC	bytea[]	{abc}
UTC	numeric(5,2)[]	{1,2.5}
UTC	numeric(5,2)[]	{1000}
UTC	double precision[]	{1,0.1,NaN,Infinity,1e20}
UTC	character(2)[]	{a,bc}
UTC	character(2)[]	{abc}
UTC	character varying(2)[]	{a,bc}
UTC	character varying(2)[]	{abc}
UTC	uuid[]	{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}
UTC	jsonb[]	{"{\\"a\\": 1}","[1,2]"}
UTC	interval[]	{"1 day",01:00}
UTC	date[]	{2026-11-30,0044-03-15 BC}
UTC	point[]	{"(1,2)","(3,4)"}
UTC	smallint[]	{1,-32768}
UTC	bigint[]	{9223372036854775807}
UTC	real[]	{0.1,1e10}
\.
copy (select zone, kind, input, answer, bytes from cases, pg_temp.probe(zone, kind, input) order by id) to stdout;
