// What programs do with lib/pq, through database/sql.
package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/lib/pq"
)

// check ends a flow with what is wrong.
func check(well bool, what string, about ...interface{}) {
	if !well {
		panic(fmt.Sprintf(what, about...))
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func run(db *sql.DB, statement string, arguments ...interface{}) sql.Result {
	result, err := db.Exec(statement, arguments...)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", statement, err))
	}
	return result
}

func table(db *sql.DB, name, columns string) {
	run(db, "DROP TABLE IF EXISTS "+name)
	run(db, "CREATE TABLE "+name+" ("+columns+")")
}

func fails(code string, err error) *pq.Error {
	var told *pq.Error
	check(errors.As(err, &told), "%s instead of: %v", code, err)
	check(string(told.Code) == code, "%s instead of %s: %v", told.Code, code, err)
	return told
}

func valuesOfEveryTypeBothWays(db *sql.DB) {
	at := time.Date(2024, 2, 29, 12, 30, 45, 123456000, time.UTC)
	for n, one := range []struct {
		name  string
		value interface{}
	}{
		{"boolean", true},
		{"smallint", int64(-32768)},
		{"integer", int64(2147483647)},
		{"bigint", int64(-9223372036854775807)},
		{"double precision", 0.1},
		{"text", "text, ünïcödé and 'quotes'"},
		{"varchar(20)", "varchar"},
		{"bytea", []byte{0, 1, 254, 255}},
		{"timestamptz", at},
		{"numeric", []byte("12345678901234567890.123")},
		{"uuid", []byte("12345678-1234-5678-1234-567812345678")},
		{"jsonb", []byte(`{"a": [1, null]}`)},
	} {
		name := fmt.Sprintf("g%d", n)
		table(db, name, "id int PRIMARY KEY, v "+one.name)
		sent := one.value
		if text, is := sent.([]byte); is && one.name != "bytea" {
			sent = string(text)
		}
		run(db, "INSERT INTO "+name+" VALUES ($1, $2), (2, NULL)", 1, sent)
		var found, none interface{}
		must(db.QueryRow("SELECT v FROM " + name + " WHERE id = 1").Scan(&found))
		must(db.QueryRow("SELECT v FROM "+name+" WHERE id = $1", 2).Scan(&none))
		if there, is := found.(time.Time); is {
			found = there.UTC()
		}
		check(reflect.DeepEqual(found, one.value), "%s: %v", one.name, found)
		check(none == nil, "%s: %v", one.name, none)
	}
	table(db, "garrays", "id int PRIMARY KEY, n bigint[], t text[]")
	words := pq.StringArray{"a", `b"c`, "d,e", ""}
	run(db, "INSERT INTO garrays VALUES (1, $1, $2)", pq.Array([]int64{1, 2}), words)
	var numbers pq.Int64Array
	var texts pq.StringArray
	must(db.QueryRow("SELECT n, t FROM garrays").Scan(&numbers, &texts))
	check(reflect.DeepEqual(numbers, pq.Int64Array{1, 2}) && reflect.DeepEqual(texts, words), "%v %v", numbers, texts)
	var count int
	must(db.QueryRow("SELECT count(*) FROM garrays WHERE id = ANY($1)", pq.Array([]int64{1, 5})).Scan(&count))
	check(count == 1, "%d", count)
}

func errorsAreKnown(db *sql.DB) {
	table(db, "gerrors", "id int PRIMARY KEY, n int NOT NULL")
	run(db, "INSERT INTO gerrors VALUES (1, 1)")
	_, err := db.Exec("INSERT INTO gerrors VALUES ($1, $2)", 1, 1)
	told := fails("23505", err)
	check(told.Constraint == "gerrors_pkey" && told.Table == "gerrors", "%+v", told)
	for _, one := range [][2]string{
		{"23502", "INSERT INTO gerrors VALUES (2, NULL)"},
		{"42P01", "SELECT * FROM nowhere"},
		{"42601", "SELEC 1"},
		{"22012", "SELECT 1 / 0"},
	} {
		_, err := db.Exec(one[1])
		fails(one[0], err)
		_, err = db.Query(one[1])
		if err == nil {
			var none int
			err = db.QueryRow(one[1]).Scan(&none)
		}
		fails(one[0], err)
	}
}

func transactions(db *sql.DB) {
	table(db, "gaccounts", "id int PRIMARY KEY, n int")
	for _, level := range []sql.IsolationLevel{
		sql.LevelDefault, sql.LevelReadCommitted, sql.LevelRepeatableRead, sql.LevelSerializable,
	} {
		tx, err := db.BeginTx(context.Background(), &sql.TxOptions{Isolation: level})
		must(err)
		_, err = tx.Exec("INSERT INTO gaccounts VALUES (1, 1)")
		must(err)
		must(tx.Rollback())
	}
	tx, err := db.BeginTx(context.Background(), &sql.TxOptions{ReadOnly: true})
	must(err)
	_, err = tx.Exec("INSERT INTO gaccounts VALUES (1, 1)")
	fails("25006", err)
	must(tx.Rollback())
	tx, err = db.Begin()
	must(err)
	statement, err := tx.Prepare("INSERT INTO gaccounts VALUES ($1, $2)")
	must(err)
	for n := 0; n < 10; n++ {
		result, err := statement.Exec(n, n)
		must(err)
		count, err := result.RowsAffected()
		must(err)
		check(count == 1, "%d", count)
	}
	must(statement.Close())
	must(tx.Commit())
	var count int
	must(db.QueryRow("SELECT count(*) FROM gaccounts").Scan(&count))
	check(count == 10, "%d", count)
}

func manyRows(db *sql.DB) {
	table(db, "gmany", "id int PRIMARY KEY, v text")
	statement, err := db.Prepare("INSERT INTO gmany VALUES ($1, $2)")
	must(err)
	for n := 0; n < 2000; n++ {
		_, err := statement.Exec(n, fmt.Sprint(n))
		must(err)
	}
	must(statement.Close())
	rows, err := db.Query("SELECT id, v FROM gmany ORDER BY id")
	must(err)
	defer rows.Close()
	types, err := rows.ColumnTypes()
	must(err)
	check(types[0].DatabaseTypeName() == "INT4" && types[1].DatabaseTypeName() == "TEXT", "%v", types)
	seen := 0
	for rows.Next() {
		var id int
		var v string
		must(rows.Scan(&id, &v))
		check(id == seen && v == fmt.Sprint(id), "%d %s", id, v)
		seen++
	}
	must(rows.Err())
	check(seen == 2000, "%d", seen)
}

func cancel(db *sql.DB) {
	table(db, "gheld", "id int PRIMARY KEY")
	run(db, "INSERT INTO gheld VALUES (1)")
	tx, err := db.Begin()
	must(err)
	_, err = tx.Exec("UPDATE gheld SET id = id")
	must(err)
	limited, stop := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer stop()
	_, err = db.ExecContext(limited, "UPDATE gheld SET id = id")
	check(err != nil, "not cancelled")
	must(tx.Rollback())
	run(db, "UPDATE gheld SET id = id")
}

func copyIn(db *sql.DB) {
	table(db, "gcopied", "id int PRIMARY KEY, v text")
	tx, err := db.Begin()
	must(err)
	statement, err := tx.Prepare(pq.CopyIn("gcopied", "id", "v"))
	must(err)
	for n := 0; n < 1000; n++ {
		_, err = statement.Exec(n, "a\tb")
		must(err)
	}
	_, err = statement.Exec()
	must(err)
	must(statement.Close())
	must(tx.Commit())
	var count int
	must(db.QueryRow("SELECT count(*) FROM gcopied WHERE v = $1", "a\tb").Scan(&count))
	check(count == 1000, "%d", count)
}

func notifications(db *sql.DB) {
	listener := pq.NewListener("", time.Second, time.Second, nil)
	defer listener.Close()
	must(listener.Listen("gnews"))
	run(db, "NOTIFY gnews, 'hello'")
	select {
	case heard := <-listener.Notify:
		check(heard.Channel == "gnews" && heard.Extra == "hello", "%v", heard)
	case <-time.After(10 * time.Second):
		panic("nothing heard")
	}
	must(listener.Ping())
}

func binaryParameters(_ *sql.DB) {
	db, err := sql.Open("postgres", "binary_parameters=yes")
	must(err)
	defer db.Close()
	table(db, "gbinary", "id bigint PRIMARY KEY, v bytea")
	run(db, "INSERT INTO gbinary VALUES ($1, $2)", 1, []byte{0, 255})
	var v []byte
	must(db.QueryRow("SELECT v FROM gbinary WHERE id = $1", 1).Scan(&v))
	check(bytes.Equal(v, []byte{0, 255}), "%v", v)
}

func main() {
	db, err := sql.Open("postgres", "")
	must(err)
	flows := []struct {
		name string
		flow func(*sql.DB)
	}{
		{"valuesOfEveryTypeBothWays", valuesOfEveryTypeBothWays},
		{"errorsAreKnown", errorsAreKnown},
		{"transactions", transactions},
		{"manyRows", manyRows},
		{"cancel", cancel},
		{"copyIn", copyIn},
		{"notifications", notifications},
		{"binaryParameters", binaryParameters},
	}
	for _, one := range flows {
		ended := make(chan interface{}, 1)
		flow := one.flow
		go func() {
			defer func() { ended <- recover() }()
			flow(db)
		}()
		var wrong interface{} = "takes too long"
		select {
		case wrong = <-ended:
		case <-time.After(30 * time.Second):
		}
		if wrong == nil {
			fmt.Println("ok", one.name)
		} else {
			fmt.Printf("%v\nfailed %s\n", wrong, one.name)
		}
	}
}
