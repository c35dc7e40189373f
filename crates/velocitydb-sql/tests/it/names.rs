//! Names of outputs that a statement gives none, as PostgreSQL 15 has them.

use velocitydb::Database;
use velocitydb_sql::Session;

#[test]
fn outputs_are_named_as_in_postgresql() {
    let mut session = Session::new(Database::in_memory().unwrap());
    let create = session.prepare("CREATE TABLE t (id int PRIMARY KEY, a int, l int[])", &[]);
    session.run(&create.unwrap(), &[]).unwrap();
    for (output, name) in [
        ("a", "a"),
        ("a::text", "a"),
        ("'1'::int", "int4"),
        ("int '7'", "int4"),
        ("interval '1 day'", "interval"),
        ("true", "?column?"),
        ("true::bool", "bool"),
        ("1 + 1", "?column?"),
        ("l[1]", "l"),
        ("ARRAY[]::int[]", "array"),
        ("EXISTS (SELECT 1)::text", "exists"),
        ("CASE WHEN true THEN 1 END", "case"),
        ("CASE WHEN true THEN 1 ELSE a END", "a"),
        ("(CASE WHEN true THEN 1 END)::text", "text"),
        ("(SELECT 4)", "?column?"),
        ("(SELECT 4 AS four)", "four"),
        ("upper('x')::varchar", "upper"),
        ("overlay('abc' PLACING 'x' FROM 2)", "overlay"),
        ("trim(LEADING 'x' FROM 'xa')", "ltrim"),
    ] {
        let prepared = session.prepare(&format!("SELECT {output} FROM t"), &[]);
        assert_eq!(prepared.unwrap().columns()[0].name, name, "{output}");
    }
}
