-- Prepared statements of SQL.
SET client_min_messages = warning;
DROP TABLE IF EXISTS p_names;
RESET client_min_messages;
CREATE TABLE p_names (id int PRIMARY KEY, name text, born date);
INSERT INTO p_names VALUES (1, 'Ann', '1950-01-01'), (2, 'Bob', NULL), (3, 'Cid', '1970-12-31');
PREPARE by_name (text) AS SELECT id, name FROM p_names WHERE name = $1;
EXECUTE by_name ('Bob');
DEALLOCATE by_name;
EXECUTE by_name ('Bob');
DROP TABLE p_names;
