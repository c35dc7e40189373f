-- COPY in and out.
SET client_min_messages = warning;
DROP TABLE IF EXISTS p_names;
RESET client_min_messages;
CREATE TABLE p_names (id int PRIMARY KEY, name text, born date);
INSERT INTO p_names VALUES (1, 'Ann', '1950-01-01'), (2, 'Bob', NULL), (3, 'Cid', '1970-12-31');
COPY p_names FROM STDIN;
4	Eve	2000-01-01
5	Fay	\N
\.
COPY p_names FROM STDIN (FORMAT csv);
6,"Guy, the third",1999-09-09
\.
\copy (SELECT id, name, born FROM p_names ORDER BY id) TO STDOUT
COPY p_names TO STDOUT (FORMAT csv, HEADER);
DROP TABLE p_names;
