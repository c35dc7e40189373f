-- Rows in parts, by a cursor that psql declares.
SET client_min_messages = warning;
DROP TABLE IF EXISTS p_names;
RESET client_min_messages;
CREATE TABLE p_names (id int PRIMARY KEY, name text, born date);
INSERT INTO p_names VALUES (1, 'Ann', '1950-01-01'), (2, 'Bob', NULL), (3, 'Cid', '1970-12-31');
\set FETCH_COUNT 2
SELECT id, name FROM p_names ORDER BY id;
\unset FETCH_COUNT
DROP TABLE p_names;
