-- The tables that the queries of the tools are asked of.
CREATE TABLE parts (id int PRIMARY KEY, name text NOT NULL UNIQUE, size numeric(8,2) DEFAULT 1.5, tags text[], doc jsonb, added timestamptz DEFAULT now());
CREATE TABLE orders (id serial PRIMARY KEY, part int NOT NULL REFERENCES parts ON DELETE CASCADE, amount int DEFAULT 1 CHECK (amount > 0), note varchar(20) DEFAULT 'none', state char(3), done boolean DEFAULT false);
CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, b int, body text, place point, made date DEFAULT '2024-01-02', u uuid DEFAULT gen_random_uuid(), UNIQUE (a, b), CHECK (a < b OR b IS NULL));
CREATE TABLE shop.items (id text PRIMARY KEY, "Odd Name" int DEFAULT -1);
CREATE INDEX parts_size ON parts (size DESC, name);
CREATE UNIQUE INDEX parts_lower ON parts (lower(name)) WHERE size IS NOT NULL;
CREATE INDEX parts_tags ON parts USING gin (tags);
CREATE INDEX parts_doc ON parts USING gin (doc jsonb_path_ops);
CREATE INDEX orders_hash ON orders USING hash (state);
CREATE INDEX notes_body ON notes USING gin (to_tsvector('english', body));
CREATE INDEX notes_place ON notes USING gist (place);
CREATE SEQUENCE numbers AS int START 5 INCREMENT 2 CYCLE MAXVALUE 99;
COMMENT ON TABLE parts IS 'what is sold';
COMMENT ON COLUMN parts.name IS 'what it is called';
COMMENT ON INDEX parts_size IS 'by size';
INSERT INTO parts VALUES (1, 'bolt', 8), (2, 'nut', 8.5);
