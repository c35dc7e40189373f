-- What people do with psql: statements, errors, transactions, settings.
\set SHOW_CONTEXT never
\pset null (null)
SET client_min_messages = warning;
DROP TABLE IF EXISTS p_books;
DROP TABLE IF EXISTS p_authors;
RESET client_min_messages;
CREATE TABLE p_authors (id serial PRIMARY KEY, name text NOT NULL UNIQUE, born date);
CREATE TABLE p_books (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    author int NOT NULL REFERENCES p_authors ON DELETE CASCADE,
    title varchar(40) NOT NULL,
    price numeric(8,2) CHECK (price >= 0),
    tags text[],
    more jsonb,
    added timestamptz DEFAULT '2024-02-29 12:00:00+00'
);
CREATE INDEX ON p_books (author);
INSERT INTO p_authors (name, born) VALUES ('Ann', '1950-01-01'), ('Bob', NULL), ('Cid', '1970-12-31') RETURNING id, name;
INSERT INTO p_books (author, title, price, tags, more) VALUES
    (1, 'First', 9.9, '{a,"b c"}', '{"pages": 100}'),
    (1, 'Second', 19, NULL, NULL),
    (2, E'Two\nlines', 0.5, '{}', '[1, "x"]');
SELECT * FROM p_authors ORDER BY id;
SELECT id, title, price, tags, more, added FROM p_books ORDER BY id;
\x on
SELECT * FROM p_books WHERE id = 2;
\x off
\pset format unaligned
SELECT count(*), sum(price), min(title) FROM p_books;
\pset format csv
SELECT title, price FROM p_books ORDER BY price DESC;
\pset format aligned

-- Variables.
\set who 'Ann'
SELECT id FROM p_authors WHERE name = :'who' \gset author_
\echo author :author_id
SELECT title FROM p_books WHERE author = :author_id ORDER BY title;
\echo :ROW_COUNT rows, :SQLSTATE
SELECT 'SELECT ' || id || ' AS one' FROM p_authors ORDER BY id \gexec
\if :{?author_id}
\echo there
\endif

-- Errors, and where they are.
SELECT nothing FROM p_books;
\set VERBOSITY sqlstate
SELECT 1 +;
\set VERBOSITY default
INSERT INTO p_authors (name) VALUES ('Ann');
INSERT INTO p_books (author, title) VALUES (7, 'Nobody');
INSERT INTO p_books (author, title, price, added) VALUES (1, 'Cheap', -1, NULL);
SELECT 1 / 0;
\echo :ERROR, :SQLSTATE, :LAST_ERROR_MESSAGE

-- Transactions.
BEGIN;
DELETE FROM p_books;
SAVEPOINT one;
SELECT * FROM nowhere;
SELECT 1;
ROLLBACK TO one;
SELECT count(*) FROM p_books;
ROLLBACK;
SELECT count(*) FROM p_books;
COMMIT;
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT 1 / 0;
SELECT 2 AS goes_on;
COMMIT;
\set ON_ERROR_ROLLBACK off
\set AUTOCOMMIT off
INSERT INTO p_authors (name) VALUES ('Dan');
ROLLBACK;
\set AUTOCOMMIT on
SELECT count(*) FROM p_authors; SELECT 1 AS a\; SELECT 2 AS b;

-- Settings.
SET TIME ZONE 'Europe/Berlin';
SHOW TimeZone;
SELECT added FROM p_books WHERE id = 1;
SET DateStyle = 'ISO, DMY';
SELECT '01/02/2024'::date;
RESET ALL;
SHOW TimeZone;
SET nothing_like_it = 1;
BEGIN;
SET LOCAL statement_timeout = '1min';
SHOW statement_timeout;
COMMIT;
SHOW statement_timeout;

-- What is worth a notice.
DROP TABLE IF EXISTS nowhere;
COMMIT;
EXPLAIN (COSTS off) SELECT 1 \g /dev/null
TRUNCATE p_books;
SELECT count(*) FROM p_books;
DROP TABLE p_books, p_authors;
