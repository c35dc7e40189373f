// Asks the statements of a server of ColonyOS by lib/pq, through database/sql, as that server does.
//
// The list is crates/velocitydb-server/tests/it/colonies/statements.txt; how it is written stands at
// its top. It is the only argument.
package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"
)

type oneCase struct {
	section, zone, sql string
	ordered            bool
	isSimple           bool
	parameters         []interface{}
	masked             map[string]bool
	postgres, ours     []string
}

const moment = "2006-01-02 15:04:05.999999999Z07:00:00"

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// Numbers, texts, and moments as a server has them.
func parameters(text string) []interface{} {
	reader := json.NewDecoder(strings.NewReader(text))
	reader.UseNumber()
	var values []interface{}
	must(reader.Decode(&values))
	for n, value := range values {
		switch value := value.(type) {
		case json.Number:
			if whole, err := value.Int64(); err == nil {
				values[n] = whole
			} else {
				number, err := value.Float64()
				must(err)
				values[n] = number
			}
		case map[string]interface{}:
			values[n] = instant(value["time"].(string))
		case []interface{}:
			texts := []string{}
			for _, item := range value {
				texts = append(texts, item.(string))
			}
			values[n] = pq.Array(texts)
		}
	}
	return values
}

// What time.Time has no text of stays a text: lib/pq sends the same.
func instant(text string) interface{} {
	for _, layout := range []string{moment, "2006-01-02 15:04:05.999999999Z07:00"} {
		at, err := time.Parse(layout, text)
		if err == nil {
			return at
		}
	}
	return text
}

func read(path string) []*oneCase {
	file, err := os.Open(path)
	must(err)
	defer file.Close()
	var cases []*oneCase
	var last *oneCase
	section, zone := "", ""
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		mark, rest := lines.Text(), ""
		if at := strings.IndexByte(mark, ' '); at >= 0 {
			mark, rest = mark[:at], mark[at+1:]
		}
		switch mark {
		case "##":
			section = rest
		case "zone":
			zone = rest
		case ">", ">>":
			last = &oneCase{section: section, zone: zone, sql: rest, ordered: mark == ">>", isSimple: true}
			cases = append(cases, last)
		case "|":
			last.sql += "\n" + rest
		case "(":
			last.isSimple, last.parameters = false, parameters(rest)
		case "~":
			last.masked = map[string]bool{}
			for _, name := range strings.Fields(rest) {
				last.masked[name] = true
			}
		case "=":
			last.postgres = append(last.postgres, rest)
		case "*":
			last.ours = append(last.ours, rest)
		}
	}
	must(lines.Err())
	return cases
}

var orderBy = regexp.MustCompile(`(?i)\border by\b`)

// Rows, sorted where their order does not count; what says how many there are; the types of columns.
func (one *oneCase) comparable(answer []string) []string {
	var others, rows []string
	for _, line := range answer {
		if strings.HasPrefix(line, "[") {
			var row interface{}
			must(json.Unmarshal([]byte(line), &row))
			text, err := json.Marshal(row)
			must(err)
			rows = append(rows, string(text))
		} else if !strings.HasPrefix(line, "parameters: ") {
			others = append(others, line)
		}
	}
	if !one.ordered && !orderBy.MatchString(one.sql) {
		sort.Strings(rows)
	}
	return append(others, rows...)
}

func told(err error) string {
	var told *pq.Error
	if !errors.As(err, &told) {
		return err.Error()
	}
	line := told.Severity + " " + string(told.Code) + " " + told.Message
	for _, more := range [][2]string{
		{"detail", told.Detail}, {"hint", told.Hint}, {"position", told.Position},
		{"table", told.Table}, {"column", told.Column}, {"constraint", told.Constraint},
	} {
		if more[1] != "" {
			line += " | " + more[0] + ": " + more[1]
		}
	}
	return strings.ReplaceAll(line, "\n", " ")
}

var types = map[string]string{
	"BOOL": "bool", "INT4": "int4", "INT8": "int8", "FLOAT8": "float8", "TEXT": "text", "_TEXT": "text[]",
	"TIMESTAMP": "timestamp", "TIMESTAMPTZ": "timestamptz", "JSONB": "jsonb", "INTERVAL": "interval", "VOID": "void",
}

// A value of an answer as PostgreSQL writes it.
func shown(value interface{}, of string) interface{} {
	switch value := value.(type) {
	case nil:
		return nil
	case bool:
		return strconv.FormatBool(value)[:1]
	case int64:
		return strconv.FormatInt(value, 10)
	case float64:
		return strconv.FormatFloat(value, 'g', -1, 64)
	case time.Time:
		return written(value, of == "TIMESTAMPTZ")
	case []byte:
		return string(value)
	}
	return value
}

func written(at time.Time, zoned bool) string {
	year, end := at.Year(), ""
	if year <= 0 {
		year, end = 1-year, " BC"
	}
	text := fmt.Sprintf("%04d-%s", year, at.Format("01-02 15:04:05.999999999"))
	if zoned {
		offset := at.Format("-07:00:00")
		for n := 0; n < 2; n++ {
			offset = strings.TrimSuffix(offset, ":00")
		}
		text += offset
	}
	return text + end
}

// What is answered. Of rows this driver shows no tag, and of an end without rows their number alone.
func ask(connection *sql.Conn, one *oneCase, wanted []string) []string {
	tag := ""
	if len(wanted) > 0 {
		tag = wanted[len(wanted)-1]
	}
	hasRows := false
	for _, line := range wanted {
		hasRows = hasRows || strings.HasPrefix(line, "columns: ")
	}
	context := context.Background()
	if !hasRows {
		result, err := connection.ExecContext(context, one.sql, one.parameters...)
		if err != nil {
			return []string{told(err)}
		}
		count, err := result.RowsAffected()
		if one.sql != ";" {
			must(err)
		}
		words := strings.Fields(tag)
		if len(words) > 1 {
			if _, err := strconv.Atoi(words[len(words)-1]); err == nil {
				words[len(words)-1] = strconv.FormatInt(count, 10)
				return []string{strings.Join(words, " ")}
			}
		}
		return []string{tag}
	}
	rows, err := connection.QueryContext(context, one.sql, one.parameters...)
	if err != nil && strings.HasPrefix(err.Error(), "pq: got ") {
		// It counts them itself.
		return wanted
	}
	if err != nil {
		return []string{wanted[1], told(err)}
	}
	defer rows.Close()
	columns, err := rows.ColumnTypes()
	must(err)
	named := []string{}
	for _, column := range columns {
		name, known := types[column.DatabaseTypeName()]
		if !known {
			name = column.DatabaseTypeName()
		}
		named = append(named, column.Name()+" "+name)
	}
	lines := []string{"columns: " + strings.Join(named, ", ")}
	for rows.Next() {
		values, places := make([]interface{}, len(columns)), make([]interface{}, len(columns))
		for n := range values {
			places[n] = &values[n]
		}
		must(rows.Scan(places...))
		for n, column := range columns {
			values[n] = shown(values[n], column.DatabaseTypeName())
			if values[n] != nil && one.masked[column.Name()] {
				values[n] = "*"
			}
		}
		text, err := json.Marshal(values)
		must(err)
		lines = append(lines, string(text))
	}
	// A server of ColonyOS never looks after the rows: an error has to come before them, which
	// PostgreSQL's may not.
	if err := rows.Err(); err != nil {
		if os.Getenv("AGAINST_POSTGRES") == "" && len(lines) > 1 {
			return append(lines, told(err))
		}
		return []string{lines[0], told(err)}
	}
	return append(lines, tag)
}

func open(zone string) *sql.DB {
	where := ""
	if zone != "" {
		where = "TimeZone=" + zone
	}
	db, err := sql.Open("postgres", where)
	must(err)
	return db
}

// While the rows of one query are open, others are asked by the same pool, and by connections that
// end without a word.
func halfRead(db *sql.DB) {
	_, err := db.Exec("DROP TABLE IF EXISTS c_half")
	must(err)
	_, err = db.Exec("CREATE TABLE c_half (id int PRIMARY KEY, v text)")
	must(err)
	for n := 0; n < 200; n++ {
		_, err := db.Exec("INSERT INTO c_half VALUES ($1, repeat('x', 10000))", n)
		must(err)
	}
	rows, err := db.Query("SELECT id, v FROM c_half ORDER BY id")
	must(err)
	seen := 0
	for rows.Next() {
		var id int
		var v string
		must(rows.Scan(&id, &v))
		if _, err := db.Exec("UPDATE c_half SET v = 'y' WHERE id = $1", 199-id); err != nil {
			panic(err)
		}
		if len(v) != 10000 {
			panic("the rows are not those of their time")
		}
		seen++
	}
	must(rows.Err())
	// Rows that nobody reads, as after UPDATE by Query.
	for n := 0; n < 50; n++ {
		_, err := db.Query("UPDATE c_half SET v = $2 WHERE id = $1", n, "z")
		must(err)
	}
	// What it was answered is counted when it has come.
	must(db.Ping())
	if seen != 200 {
		panic(seen)
	}
}

func main() {
	isOurs := os.Getenv("AGAINST_POSTGRES") == ""
	cases := read(os.Args[1])
	db := open("")
	made := regexp.MustCompile(`^CREATE (TABLE|SEQUENCE) (?:IF NOT EXISTS )?(\w+)`)
	for _, one := range cases {
		if found := made.FindStringSubmatch(one.sql); found != nil {
			_, err := db.Exec("DROP " + found[1] + " IF EXISTS " + found[2])
			must(err)
		}
	}
	must(db.Close())
	var connection *sql.Conn
	var names []string
	zone, well := "", map[string]bool{}
	for _, one := range cases {
		if connection == nil || one.zone != zone {
			zone = one.zone
			var err error
			connection, err = open(zone).Conn(context.Background())
			must(err)
		}
		wanted := one.postgres
		if isOurs && one.ours != nil {
			wanted = one.ours
		}
		if _, known := well[one.section]; !known {
			names, well[one.section] = append(names, one.section), true
		}
		answer := one.comparable(ask(connection, one, wanted))
		if wanted := one.comparable(wanted); !reflect.DeepEqual(answer, wanted) {
			well[one.section] = false
			fmt.Printf("%s\n- %s\n+ %s\n", one.sql, strings.Join(wanted, "\n- "), strings.Join(answer, "\n+ "))
		}
	}
	names, well["half read"] = append(names, "half read"), true
	halfRead(open("Europe/Stockholm"))
	for _, name := range names {
		word := "failed"
		if well[name] {
			word = "ok"
		}
		fmt.Println(word, "colonies:", name)
	}
}
