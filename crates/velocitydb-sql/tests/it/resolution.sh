#!/bin/sh
# Asks PostgreSQL 15 which function every name of the table means for all types of one and two
# arguments, into resolution.tsv.
#   resolution.sh DIRECTORY-OF-THE-SOCKET
set -eu
cd "$(dirname "$0")/../.."
names=$(cargo run -q --example function_names |
    grep -v ' \|^and$\|^or$\|^not$\|^case$\|^in$\|^between$\|^array$\|^slice$\|^subscript$\|^coalesce$\|^greatest$\|^least$\|^nullif$\|^overlaps$')
cat > /tmp/resolution.$$.sql <<'SQL'
create function pg_temp.answer(e text) returns text language plpgsql as $$
declare answer text;
begin
    execute 'select pg_typeof(' || e || ')' into answer;
    return answer;
exception when undefined_function then return null;
    when undefined_object or syntax_error then return null;
    when ambiguous_function or datatype_mismatch or indeterminate_datatype then return sqlstate;
    when others then return case when sqlstate like '42%' then sqlstate else null end;
end $$;
create temp table t (n serial, name text);
insert into t (name) values ('unknown'), ('boolean'), ('smallint'), ('integer'), ('bigint'), ('real'),
    ('double precision'), ('numeric'), ('text'), ('character varying'), ('character'), ('bytea'), ('date'),
    ('timestamp without time zone'), ('timestamp with time zone'), ('interval'), ('uuid'), ('json'),
    ('jsonb'), ('integer[]'), ('text[]');
create temp table f (name text);
\copy f from pstdin with (format csv, delimiter E'\x02', quote E'\x01')
create function pg_temp.of(name text) returns text language sql immutable as $$
    select case name when 'unknown' then 'null' else 'null::' || name end $$;
create temp table answers as
select f.name, a.name as types, a.n as first, 0 as second,
    pg_temp.answer(case when f.name ~ '^[a-z_]' then format('%s(%s)', f.name, pg_temp.of(a.name))
        else format('(%s (%s))', f.name, pg_temp.of(a.name)) end) as result
from f, t a
union all
select f.name, a.name || ',' || b.name, a.n, b.n,
    pg_temp.answer(case when f.name = 'position' then format('pg_catalog.position(%s,%s)', pg_temp.of(a.name), pg_temp.of(b.name))
        when f.name ~ '^[a-z_]' then format('%s(%s,%s)', case when f.name in ('extract', 'substring', 'overlay', 'position') then 'pg_catalog.' else '' end || f.name, pg_temp.of(a.name), pg_temp.of(b.name))
        else format('((%s) %s (%s))', pg_temp.of(a.name), f.name, pg_temp.of(b.name)) end)
from f, t a, t b;
select name || E'\t' || string_agg(types || '=' || result, E'\t' order by second > 0, first, second)
from answers where result is not null and result <> '42883' group by name order by name collate "C";
SQL
echo "$names" | psql -h "$1" -U postgres -qAtX -f /tmp/resolution.$$.sql > tests/it/resolution.tsv
rm /tmp/resolution.$$.sql
