#!/bin/sh
# Asks PostgreSQL 15 for the answers of golden/*.tsv again. A line is an expression, its type and
# its value; or the expression, ERROR, and SQLSTATE with message. Lines with # stay.
#   golden.sh DIRECTORY-OF-THE-SOCKET
set -eu
cd "$(dirname "$0")/golden"
for file in *.tsv; do
    {
        cat <<'SQL'
set timezone = 'Europe/Berlin';
create function pg_temp.answer(e text) returns text language plpgsql as $$
declare answer text;
begin
    if e like '#%' or e = '' then return ''; end if;
    execute 'select E''\t'' || pg_typeof(x) || E''\t'' || coalesce(replace(replace(x::text, E''\\'', E''\\\\''), E''\n'', ''\n''), ''NULL'')
        from (select (' || e || ') as x offset 0) s' into answer;
    return answer;
exception when others then
    return E'\tERROR\t' || sqlstate || ' ' || replace(sqlerrm, E'\n', '\n');
end $$;
create temp table e (n serial, e text);
\copy e (e) from pstdin with (format csv, delimiter E'\x02', quote E'\x01', null E'\x03')
select e || pg_temp.answer(e) from e order by n
SQL
    } > /tmp/golden.$$.sql
    cut -f1 "$file" | sed 's/^$/#/' | psql -h "$1" -U postgres -qAtX -f /tmp/golden.$$.sql > /tmp/golden.$$.tsv
    sed 's/^#$//' /tmp/golden.$$.tsv > "$file"
    rm /tmp/golden.$$.*
done
