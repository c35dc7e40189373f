// What programs do with node-postgres (`pg`).
"use strict";

const assert = require("node:assert/strict");
const { pipeline } = require("node:stream/promises");
const { Readable } = require("node:stream");
const { Client, Pool, types } = require("pg");
const Cursor = require("pg-cursor");
const copy = require("pg-copy-streams");

async function connected(work, options = {}) {
  const client = new Client(options);
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

async function table(client, name, columns) {
  await client.query(`DROP TABLE IF EXISTS ${name}; CREATE TABLE ${name} (${columns})`);
}

async function fails(code, promise) {
  await assert.rejects(promise, (error) => (assert.equal(error.code, code, error.message), true));
}

const when = new Date("2024-02-29T12:30:45.123Z");
const VALUES = [
  ["boolean", true],
  ["smallint", -32768],
  ["integer", 2147483647],
  ["bigint", "-9223372036854775807"],
  ["real", 1.5],
  ["double precision", 0.1],
  ["numeric", "12345678901234567890.123"],
  ["text", "text, ünïcödé and 'quotes'"],
  ["varchar(20)", "varchar"],
  ["bytea", Buffer.from([0, 1, 254, 255])],
  ["timestamp", when],
  ["timestamptz", when],
  ["uuid", "12345678-1234-5678-1234-567812345678"],
  ["json", { a: [1, null, "x"] }],
  ["jsonb", { a: [1, null, "x"] }],
  ["int[]", [1, null, 3]],
  ["text[]", ["a", 'b"c', "d,e", "", "NULL"]],
];

const flows = {
  async valuesOfEveryTypeBothWays() {
    await connected(async (client) => {
      for (const [at, [name, value]] of VALUES.entries()) {
        await table(client, `n${at}`, `id int PRIMARY KEY, v ${name}`);
        await client.query(`INSERT INTO n${at} VALUES ($1, $2)`, [1, value]);
        await client.query(`INSERT INTO n${at} VALUES ($1, $2)`, [2, null]);
        const { rows } = await client.query(`SELECT v FROM n${at} ORDER BY id`);
        assert.deepEqual(rows, [{ v: value }, { v: null }], name);
      }
    });
  },

  async rowsAndFields() {
    await connected(async (client) => {
      await table(client, "npeople", "id serial PRIMARY KEY, name text, born date");
      const made = await client.query("INSERT INTO npeople (name) VALUES ($1), ($2) RETURNING id", ["a", "b"]);
      assert.deepEqual([made.command, made.rowCount, made.rows], ["INSERT", 2, [{ id: 1 }, { id: 2 }]]);
      const found = await client.query({ text: "SELECT * FROM npeople WHERE id = ANY($1) ORDER BY id", values: [[1, 2]], rowMode: "array" });
      assert.deepEqual(found.rows, [[1, "a", null], [2, "b", null]]);
      assert.deepEqual(found.fields.map((field) => [field.name, field.dataTypeID]), [["id", 23], ["name", 25], ["born", 1082]]);
      const several = await client.query("SELECT 1 AS a; SELECT 2 AS b");
      assert.deepEqual(several.map((result) => result.rows), [[{ a: 1 }], [{ b: 2 }]]);
      const text = await client.query("SELECT $1::text AS v", [7]);
      assert.equal(text.rows[0].v, "7");
    });
  },

  async preparedStatements() {
    await connected(async (client) => {
      for (let n = 0; n < 20; n += 1) {
        const { rows } = await client.query({ name: "sum", text: "SELECT $1::int + 1 AS v", values: [n] });
        assert.equal(rows[0].v, n + 1);
      }
    });
  },

  async errors() {
    await connected(async (client) => {
      await table(client, "nerrors", "id int PRIMARY KEY, n int NOT NULL");
      await client.query("INSERT INTO nerrors VALUES (1, 1)");
      await fails("23505", client.query("INSERT INTO nerrors VALUES ($1, $2)", [1, 1]));
      await fails("23502", client.query("INSERT INTO nerrors VALUES (2, NULL)"));
      await fails("42P01", client.query("SELECT * FROM nowhere"));
      await fails("42601", client.query("SELEC 1"));
      await fails("22P02", client.query("SELECT $1::int", ["x"]));
      await assert.rejects(client.query("INSERT INTO nerrors VALUES (1, 1)"), { constraint: "nerrors_pkey", table: "nerrors", schema: "public", severity: "ERROR" });
      await assert.rejects(client.query("SELECT nothing FROM nerrors"), { position: "8" });
      assert.equal((await client.query("SELECT 1 AS v")).rows[0].v, 1);
    });
  },

  async transactions() {
    await connected(async (client) => {
      await table(client, "naccounts", "id int PRIMARY KEY, n int");
      const count = async () => Number((await client.query("SELECT count(*) FROM naccounts")).rows[0].count);
      await client.query("BEGIN");
      await client.query("INSERT INTO naccounts VALUES (1, 1)");
      await client.query("ROLLBACK");
      assert.equal(await count(), 0);
      await client.query("BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE");
      await client.query("INSERT INTO naccounts VALUES (1, 1)");
      await client.query("SAVEPOINT s");
      await fails("22012", client.query("SELECT 1 / 0"));
      await fails("25P02", client.query("SELECT 1"));
      await client.query("ROLLBACK TO SAVEPOINT s");
      await client.query("COMMIT");
      assert.equal(await count(), 1);
    });
  },

  async manyQueriesAtOnce() {
    const pool = new Pool({ max: 4 });
    const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => pool.query("SELECT $1::int AS v", [n])));
    assert.deepEqual(answers.map((answer) => answer.rows[0].v), Array.from({ length: 100 }, (_, n) => n));
    await pool.end();
  },

  async rowsInParts() {
    await connected(async (client) => {
      await table(client, "nmany", "id int PRIMARY KEY");
      const values = Array.from({ length: 5000 }, (_, n) => `(${n})`).join(",");
      await client.query(`INSERT INTO nmany VALUES ${values}`);
      const cursor = client.query(new Cursor("SELECT id FROM nmany WHERE id >= $1 ORDER BY id", [10]));
      let seen = 0;
      for (let rows = await cursor.read(700); rows.length > 0; rows = await cursor.read(700)) {
        assert.equal(rows[0].id, 10 + seen);
        seen += rows.length;
      }
      await cursor.close();
      assert.equal(seen, 4990);
      const left = client.query(new Cursor("SELECT id FROM nmany"));
      await left.read(1);
      await left.close();
      assert.equal((await client.query("SELECT count(*) FROM nmany")).rows[0].count, "5000");
    });
  },

  async timeouts() {
    await connected(async (holder) => {
      await table(holder, "nheld", "id int PRIMARY KEY");
      await holder.query("INSERT INTO nheld VALUES (1)");
      await holder.query("BEGIN");
      await holder.query("UPDATE nheld SET id = id");
      await connected((client) => fails("57014", client.query("UPDATE nheld SET id = id")), { statement_timeout: 100 });
      await connected((client) => fails("55P03", client.query("UPDATE nheld SET id = id")), { lock_timeout: 100 });
      await holder.query("ROLLBACK");
    });
  },

  async copyInAndOut() {
    await connected(async (client) => {
      await table(client, "ncopied", "id int PRIMARY KEY, v text");
      const lines = Array.from({ length: 1000 }, (_, n) => `${n}\tvalue ${n}\n`);
      const into = client.query(copy.from("COPY ncopied FROM STDIN"));
      await pipeline(Readable.from(lines), into);
      assert.equal(into.rowCount, 1000);
      const parts = [];
      for await (const part of client.query(copy.to("COPY ncopied TO STDOUT"))) {
        parts.push(part);
      }
      assert.equal(Buffer.concat(parts).toString().split("\n").length, 1001);
    });
  },

  async notifications() {
    await connected(async (listener) => {
      await listener.query("LISTEN nnews");
      const heard = new Promise((tell) => listener.once("notification", tell));
      await connected((other) => other.query("NOTIFY nnews, 'hello'"));
      const { channel, payload } = await heard;
      assert.deepEqual([channel, payload], ["nnews", "hello"]);
    });
  },

  async whatTheSessionSays() {
    await connected(async (client) => {
      const { rows } = await client.query("SELECT version(), current_database(), pg_backend_pid() AS pid");
      assert.match(rows[0].version, /PostgreSQL 15/);
      assert.equal(rows[0].current_database, process.env.PGDATABASE);
      assert.equal(rows[0].pid, client.processID);
      assert.equal((await client.query("SHOW application_name")).rows[0].application_name, "flows");
    }, { application_name: "flows" });
  },
};

(async () => {
  types.setTypeParser(types.builtins.DATE, String);
  for (const [name, flow] of Object.entries(flows)) {
    let timer;
    const late = new Promise((_, fail) => (timer = setTimeout(() => fail(new Error("takes too long")), 60_000)));
    try {
      await Promise.race([flow(), late]);
      console.log(`ok ${name}`);
    } catch (error) {
      console.log(error);
      console.log(`failed ${name}`);
    }
    clearTimeout(timer);
  }
  process.exit(0);
})();
