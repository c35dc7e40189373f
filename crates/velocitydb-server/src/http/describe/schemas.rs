//! The schemas of bodies.
//!
//! Types of this crate derive theirs. Those of the library are written here as clients meet them:
//! with `additionalProperties: false`, so that a field that was forgotten is seen by the first
//! test that gets one.

use serde_json::{Map, Value as Json, json};
use utoipa::{PartialSchema, ToSchema};

use crate::http::{admin, batch, health, import, transactions};
use crate::{Change, Reloaded, slow};

/// All of them by name.
pub(super) fn all() -> Map<String, Json> {
    let mut all = Map::new();
    derived::<health::Summary<'_>>(&mut all);
    derived::<import::Imported>(&mut all);
    derived::<import::Bad>(&mut all);
    derived::<admin::Slow>(&mut all);
    derived::<slow::SlowOperation>(&mut all);
    derived::<transactions::BeginTransaction>(&mut all);
    derived::<transactions::AskedIsolation>(&mut all);
    derived::<transactions::OpenTransaction>(&mut all);
    derived::<transactions::Committed>(&mut all);
    derived::<batch::BatchRequest<'_>>(&mut all);
    derived::<batch::BatchMode>(&mut all);
    derived::<batch::BatchOperation<'_>>(&mut all);
    derived::<batch::BatchOp>(&mut all);
    derived::<batch::BatchAnswer>(&mut all);
    derived::<batch::BatchResult>(&mut all);
    derived::<Reloaded>(&mut all);
    derived::<Change>(&mut all);
    for part in [basics(), queries(), collections(), schemas()] {
        let Json::Object(part) = part else {
            unreachable!("each is an object")
        };
        all.extend(part);
    }
    all
}

fn derived<T: ToSchema + PartialSchema>(all: &mut Map<String, Json>) {
    let schema = serde_json::to_value(T::schema()).expect("strings and numbers are JSON");
    all.insert(T::name().into_owned(), schema);
}

fn reference(name: &str) -> Json {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn list_of(items: &Json) -> Json {
    json!({ "type": "array", "items": items })
}

/// An object with these fields and no others. A name that ends in `?` need not be there.
fn object(what: &str, fields: &[(&str, Json)]) -> Json {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, schema) in fields {
        let optional = name.strip_suffix('?');
        if optional.is_none() {
            required.push(*name);
        }
        properties.insert(optional.unwrap_or(name).to_owned(), schema.clone());
    }
    json!({
        "type": "object", "description": what, "properties": properties, "required": required,
        "additionalProperties": false,
    })
}

/// A string, a number and so on, and what it says.
fn of(kind: &str, what: &str) -> Json {
    json!({ "type": kind, "description": what })
}

fn number(what: &str) -> Json {
    json!({ "type": "integer", "minimum": 0, "description": what })
}

fn time(what: &str) -> Json {
    json!({ "type": "string", "format": "date-time", "description": what })
}

fn basics() -> Json {
    let document = json!({
        "type": "object", "description": "A document: its metadata, and beside it its fields.",
        "properties": {
            "_id": { "description": "Its id, as JSON has it" },
            "_version": number("How many changes it has had"),
            "_index": number("The log index of its last change"),
            "_created_at": time("When it was inserted"),
            "_updated_at": time("When it was changed last"),
            "_expires_at": time("When it expires; not there when it does not"),
        },
        "required": ["_id", "_version"],
        "additionalProperties": true,
        "example": { "_id": "JFK", "_version": 1, "_index": 7, "_created_at": "2026-11-30T12:00:00Z",
            "_updated_at": "2026-11-30T12:00:00Z", "name": "John F Kennedy Intl", "alt": 13 },
    });
    let fields = json!({
        "type": "object", "description": "A document's fields. `_id` is its id; other metadata is left out.",
        "additionalProperties": true, "example": { "name": "John F Kennedy Intl", "alt": 13 },
    });
    let patch = json!({
        "type": "object", "description": "A merge patch (RFC 7396): null removes a field.",
        "additionalProperties": true, "example": { "alt": 14, "closed": null },
    });
    let expected = json!({
        "type": "object", "additionalProperties": true, "example": { "state": "waiting" },
        "description": "`_version`, or paths with the values that a document shows there.",
    });
    let problem = json!({
        "type": "object", "description": "A problem document (RFC 9457).",
        "properties": {
            "type": of("string", "`urn:velocitydb:problem:` and the code"),
            "title": of("string", "What went wrong, the same each time"),
            "status": number("The HTTP status"),
            "detail": of("string", "What went wrong this time"),
            "code": of("string", "What went wrong, for programs"),
            "request_id": of("string", "The request's id, as in the server's log"),
            "line": number("Where in the body, from 1"),
            "column": number("Where in the line, from 1"),
            "current": reference("Document"),
            "operation": number("Which operation of a batch, from 0"),
        },
        "required": ["type", "title", "status", "detail", "code", "request_id"],
        "additionalProperties": true,
    });
    json!({
        "Document": document,
        "Fields": fields,
        "MergePatch": patch,
        "Problem": problem,
        "Page": object("Documents, about in the order of insertion.", &[
            ("documents", list_of(&reference("Document"))),
            ("next", json!({ "type": ["string", "null"], "description": "`after` of the next page; null after the last" })),
            ("index", number("The log index of the state that was read")),
        ]),
        "Count": object("How many documents a collection has.", &[
            ("count", number("Its documents")),
            ("index", number("The log index of the state that was read")),
        ]),
        "CompareAndSwap": object("A change of a document that is as expected.", &[
            ("expected", expected),
            ("update", reference("MergePatch")),
        ]),
        "Live": object("The process answers.", &[("live", of("boolean", "true"))]),
        "Ready": object("The server takes writes.", &[("ready", of("boolean", "true"))]),
    })
}

/// Questions and their answers. What a filter and a stage may be is in docs/reference/queries.md.
fn queries() -> Json {
    let index = ("index", number("The log index of the state that was read"));
    let filter = json!({ "type": "object", "additionalProperties": true,
        "description": "Which documents: docs/reference/queries.md",
        "example": { "state": "waiting", "priority": { "$gt": 3 } } });
    let stages = json!({ "type": "array", "items": { "type": "object", "additionalProperties": true },
        "description": "Stages, the first one first", "example": [
            { "$match": { "state": "waiting" } }, { "$group": { "_id": "$node", "count": { "$sum": 1 } } }] });
    let timeout = (
        "timeout_ms?",
        number("Milliseconds that it may take; at most as the server is configured"),
    );
    let sort = json!({ "description": "`{\"a\":1,\"b\":-1}`: by a, and where that is equal by b, the greatest first",
        "anyOf": [{ "type": "object" }, { "type": "array" }] });
    let project = json!({ "description": "What is wanted, `[\"a\"]` or `{\"a\":1}`; or what is not, `{\"a\":0}`",
        "anyOf": [{ "type": "object" }, { "type": "array" }, { "type": "null" }] });
    let text = |what: &str| json!({ "type": ["string", "null"], "description": what });
    let find = [
        ("filter?", filter.clone()),
        ("sort?", sort),
        (
            "nulls?",
            json!({ "enum": ["smallest", "greatest"],
                "description": "Where null and absent stand in the order: before all values unless it is said" }),
        ),
        ("project?", project.clone()),
        ("offset?", number("How many of the first are left out")),
        (
            "limit?",
            json!({ "type": ["integer", "null"], "minimum": 1,
                "description": "Documents at most: on a page 100 unless it is said, and up to 10,000" }),
        ),
        ("after?", text("`next` of the page before")),
        (
            "hint?",
            text("The name of an index that must be used, or `scan`: none"),
        ),
        timeout.clone(),
    ];
    let mut find_and_count = find.to_vec();
    find_and_count.push((
        "count?",
        of(
            "boolean",
            "Counts all documents that the filter lets through, too",
        ),
    ));
    let mut explain = find.to_vec();
    explain.push(("pipeline?", stages.clone()));
    let row = json!({ "type": "object", "additionalProperties": true });
    let step = object(
        "A step of a plan.",
        &[
            ("step", of("string", "What it does")),
            ("detail", of("string", "With what")),
            (
                "guessed_rows?",
                number("How many rows it was expected to hand on"),
            ),
            ("rows?", number("How many it has handed on")),
            ("ns?", number("Nanoseconds, without the steps below it")),
        ],
    );
    let rejected = object(
        "A plan that would be dearer.",
        &[
            ("access", of("string", "How documents would be reached")),
            ("guessed_rows", number("How many")),
            ("cost_ns", number("The guess of its cost")),
        ],
    );
    let aggregate = object("Stages.", &[("pipeline", stages.clone()), timeout.clone()]);
    let ranked = [
        ("filter?", filter.clone()),
        ("project?", project.clone()),
        ("offset?", number("How many of the first are left out")),
        (
            "limit?",
            json!({ "type": ["integer", "null"], "minimum": 1, "maximum": 10_000,
                "description": "Documents at most: 10 unless it is said" }),
        ),
        timeout.clone(),
    ];
    let with = |own: &[(&'static str, Json)]| [own, &ranked[..]].concat();
    let paths = list_of(&of("string", "A path of the index"));
    let highlight = json!({
        "description": "Which texts are shown where they have the words: all of the index, or those of these paths",
        "anyOf": [{ "type": ["boolean", "null"] }, paths, object("Which texts, and how much of them.", &[
            ("fields?", json!({ "anyOf": [paths, { "type": "null" }] })),
            ("fragments?", json!({ "type": "integer", "minimum": 1, "maximum": 100,
                "description": "Parts of a text at most: 3 unless it is said" })),
            ("fragment_bytes?", json!({ "type": "integer", "minimum": 1, "maximum": 10_000,
                "description": "Bytes of a part at most: 160 unless it is said" })),
        ])],
    });
    let search = with(&[
        (
            "text",
            of(
                "string",
                "Words, \"phrases\", prefixes*, misspelt~ words, and -words that must not be there",
            ),
        ),
        (
            "index?",
            text("Which full-text index; not needed where there is one"),
        ),
        (
            "require?",
            json!({ "type": "string", "enum": ["all", "any"],
            "description": "Whether all the words must be there, or any" }),
        ),
        ("highlight?", highlight),
    ]);
    let near = with(&[
        (
            "point",
            json!({ "type": "array", "items": { "type": "number" }, "minItems": 2, "maxItems": 2,
            "description": "The place: longitude and latitude in degrees", "example": [-73.97, 40.77] }),
        ),
        (
            "path?",
            text("Where the points are; not needed where there is one geo index"),
        ),
        (
            "within_m?",
            json!({ "type": ["number", "null"], "minimum": 0,
            "description": "Not farther than so many metres" }),
        ),
    ]);
    let found = |what: &str, about: &[(&'static str, Json)]| {
        let found = [about, &[("document", row.clone())]].concat();
        object(
            what,
            &[
                (
                    "found",
                    list_of(&object("A document that was found.", &found)),
                ),
                (
                    "next",
                    json!({ "type": ["integer", "null"], "minimum": 0,
                "description": "`offset` of the next page; null after the last" }),
                ),
                index.clone(),
            ],
        )
    };
    let highlights = json!({ "type": "object",
        "description": "By the path of a text: its parts, each a list of strings of which every second is a word that was found",
        "additionalProperties": list_of(&list_of(&json!({ "type": "string" }))) });
    let search_found = found(
        "What a search found, the best first.",
        &[
            (
                "score",
                json!({ "type": "number", "description": "How well it answers (BM25), to be compared within one answer" }),
            ),
            ("highlights?", highlights),
        ],
    );
    let near_found = found(
        "The documents nearest to a place, the nearest first.",
        &[(
            "distance_m",
            json!({ "type": "number", "minimum": 0, "description": "Metres to the place" }),
        )],
    );
    json!({
        "Search": object("A question for texts.", &search),
        "SearchFound": search_found,
        "Near": object("A question for the documents nearest to a place.", &near),
        "NearFound": near_found,
        "Find": object("A question for documents.", &find_and_count),
        "CountQuery": object("Which documents are counted.", &[("filter?", filter.clone()), timeout.clone()]),
        "Aggregate": { "anyOf": [stages, aggregate] },
        "Distinct": object("A path whose values are wanted.", &[
            ("path", of("string", "The path; of an array its elements")),
            ("filter?", filter),
            timeout,
        ]),
        "Explain": object("A question for documents, or a pipeline.", &explain),
        "Found": object("A page of what was found.", &[
            ("documents", list_of(&row)),
            ("next", text("`after` of the next page; null after the last")),
            ("count?", number("All documents that the filter lets through")),
            index.clone(),
        ]),
        "Rows": object("The rows that a pipeline has made.", &[("rows", list_of(&row)), index.clone()]),
        "Values": object("Different values, ascending.", &[("values", list_of(&json!({}))), index]),
        "Explained": object("A plan.", &[
            ("steps", list_of(&step)),
            ("rejected", list_of(&rejected)),
            ("cost_ns", number("The guess of its cost, in nanoseconds")),
        ]),
    })
}

fn collections() -> Json {
    let any = json!({ "description": "A value of the field's type" });
    let size = number("Characters of a string, bytes of bytes, elements of an array or map");
    let or_null = |schema: Json| json!({ "anyOf": [schema, { "type": "null" }] });
    let field = object(
        "A declared field.",
        &[
            ("name", of("string", "Its name")),
            (
                "type",
                json!({ "type": "string", "enum": ["json", "any", "string", "int", "float", "decimal",
                "bool", "time", "date", "uuid", "bytes", "array", "map", "point", "interval"] }),
            ),
            (
                "sql_type?",
                or_null(of(
                    "string",
                    "What it is at the SQL door, kept as its type says: `int4`, `varchar(20)`, `timestamp[]`",
                )),
            ),
            (
                "required?",
                of("boolean", "Whether it must be there, and not null"),
            ),
            (
                "unique?",
                of(
                    "boolean",
                    "Whether each value stands once in the collection",
                ),
            ),
            (
                "default?",
                json!({ "description": "What it has where nothing is given: `{\"constant\": …}`, `\"now\"` or `\"uuid\"`",
                "anyOf": [{ "type": "null" }, { "type": "string", "enum": ["now", "uuid"] }, { "type": "object" }] }),
            ),
            ("minimum?", any.clone()),
            ("exclusive_minimum?", any.clone()),
            ("maximum?", any.clone()),
            ("exclusive_maximum?", any.clone()),
            ("min_length?", or_null(size.clone())),
            ("max_length?", or_null(size)),
            (
                "pattern?",
                or_null(of(
                    "string",
                    "A regular expression that must match somewhere",
                )),
            ),
            ("one_of?", or_null(list_of(&any))),
            ("references?", or_null(reference("Reference"))),
        ],
    );
    let definition = [
        ("name", of("string", "Letters, digits, `_`, `-` and `.`")),
        ("kind?", json!({ "type": "string", "enum": ["document"] })),
        (
            "persistence?",
            json!({ "type": "string", "enum": ["logged", "volatile"],
            "description": "volatile: a cache, empty after a start" }),
        ),
        (
            "primary_key?",
            json!({ "description": "The field that is the id, or a list of fields that are it together",
                "anyOf": [{ "type": "string" },
                    { "type": "array", "items": { "type": "string" }, "minItems": 1, "maxItems": 16 },
                    { "type": "null" }] }),
        ),
        ("schema?", reference("CollectionSchema")),
        ("indexes?", list_of(&reference("Index"))),
        ("ttl?", or_null(reference("TimeToLive"))),
    ];
    let mut described = definition.to_vec();
    described.extend([
        ("documents", number("How many documents it has")),
        ("bytes", reference("CollectionBytes")),
    ]);
    json!({
        "Field": field,
        "Reference": object("The collection whose ids a field holds.", &[
            ("collection", of("string", "Its name")),
            ("on_delete?", json!({ "type": "string", "enum": ["restrict", "cascade", "set_null"] })),
        ]),
        "Check": object("A condition on whole documents.", &[
            ("name", of("string", "Its name")),
            ("expression", of("string", "As in SQL: `ends >= starts`")),
        ]),
        "CollectionSchema": object("What a collection's documents may hold.", &[
            ("openness?", json!({ "type": "string", "enum": ["open", "strict"],
                "description": "Whether there may be fields that are not declared" })),
            ("fields?", list_of(&reference("Field"))),
            ("checks?", list_of(&reference("Check"))),
        ]),
        "Index": object("An index.", &[
            ("name", of("string", "Its name")),
            ("fields", list_of(&reference("IndexField"))),
            ("kind", json!({ "type": "string", "enum": ["hash", "btree", "geo", "full_text", "time_series", "unique_hash"],
                "description": "hash: equal values; btree: ranges and orders, too; geo: points; full_text: words; time_series: times, in partitions. `unique_hash`: a unique hash" })),
            ("unique?", of("boolean", "Whether the values together stand in one document at most")),
            ("filter?", or_null(of("string", "Which documents are in it, as in SQL: `state = 'waiting'`"))),
            ("language?", or_null(of("string", "Of full_text: whose stems and stop words"))),
            ("partition?", or_null(of("string", "Of time_series: how much time a partition spans, such as `1d`"))),
            ("retention?", or_null(of("string", "Of time_series: how long after the end of their partition documents expire"))),
        ]),
        "IndexField": json!({ "description": "A field of an index: its path, or more of it.", "anyOf": [
            of("string", "A path"),
            object("More of it.", &[
                ("path?", of("string", "Where its values are")),
                ("expression?", of("string", "What is computed of each document, as in SQL, in the place of a path: `lower(name)`")),
                ("direction?", json!({ "type": "string", "enum": ["asc", "desc", "ascending", "descending"] })),
                ("elements?", of("boolean", "Whether each element of an array is indexed by itself")),
            ]),
        ]}),
        "IndexWithFigures": object("An index with what it holds.", &[
            ("name", of("string", "Its name")),
            ("fields", list_of(&reference("IndexField"))),
            ("kind", json!({ "type": "string", "enum": ["hash", "btree", "geo", "full_text", "time_series"] })),
            ("unique?", of("boolean", "Whether the values together stand in one document at most")),
            ("filter?", of("string", "Which documents are in it")),
            ("language?", of("string", "Of full_text: whose stems and stop words")),
            ("partition?", of("string", "Of time_series: how much time a partition spans")),
            ("retention?", of("string", "Of time_series: how long after the end of their partition documents expire")),
            ("partitions?", list_of(&object("Of time_series: a partition that has entries, of the newest 1,000.", &[
                ("from", time("The first moment in it")),
                ("to", time("The first moment behind it")),
                ("entries", number("About how many, of old versions too")),
                ("kept_until?", time("When its documents expire")),
            ]))),
            ("entries", number("How many, of old versions too")),
            ("distinct", or_null(number("About how many different keys"))),
            ("bytes", number("Its memory")),
            ("uses", number("Queries that have used it since the start")),
            ("used_at", or_null(time("When one last did"))),
            ("building", or_null(object("How far it is, while it is being built.", &[
                ("done", number("Rows that are in it")),
                ("of", number("Documents of the collection")),
            ]))),
        ]),
        "Indexes": object("The indexes of a collection.", &[
            ("indexes", list_of(&reference("IndexWithFigures"))),
            ("index", number("The log index of the state that was read")),
        ]),
        "TimeToLive": object("When documents expire that do not say it themselves.", &[
            ("seconds", number("So long after the last change, or the time in `field`")),
            ("field?", of("string", "A field of type time")),
        ]),
        "Definition": object("What a collection is.", &definition),
        "Collection": object("A collection with what it holds and takes.", &described),
        "CollectionBytes": object("What a collection takes from memory.", &[
            ("total", number("Everything together")),
            ("documents", number("All versions of all documents")),
            ("old_versions", number("The part of `documents` that only snapshots still see")),
            ("primary", number("The primary key's index and the row table")),
            ("indexes", number("Unique indexes")),
        ]),
        "Database": object("A database.", &[
            ("name", of("string", "Its name: 1 to 128 bytes without `/` and control characters")),
            ("comment?", of("string", "What people say of it")),
        ]),
        "Databases": object("All databases.", &[("databases", list_of(&reference("ListedDatabase")))]),
        "ListedDatabase": object("A database with what it holds.", &[
            ("name", of("string", "Its name")),
            ("comment?", of("string", "What people say of it")),
            ("collections", number("How many collections it has, without those of SQL's sessions")),
        ]),
        "Collections": object("All collections.", &[("collections", list_of(&reference("Collection")))]),
        "Alteration": object("Another definition, and what it cannot say by itself.", &[
            ("definition", reference("Definition")),
            ("rename?", json!({ "type": "object", "additionalProperties": { "type": "string" },
                "description": "Declared fields that have another name now: old, new" })),
            ("drop?", list_of(&of("string", "A declared field that goes with its values"))),
        ]),
    })
}

fn schemas() -> Json {
    let collection = object(
        "A collection of a schema.",
        &[
            ("definition", reference("Definition")),
            (
                "renamed?",
                json!({ "type": "object", "additionalProperties": { "type": "string" } }),
            ),
            (
                "dropped?",
                list_of(&of("string", "A field that goes with its values")),
            ),
        ],
    );
    let by_name =
        json!({ "type": "object", "additionalProperties": reference("SchemaCollection") });
    json!({
        "SchemaRow": object("A schema that was loaded.", &[
            ("name", of("string", "Its name")),
            ("version", number("Its version")),
            ("fingerprint", of("string", "Equal for equal schemas")),
            ("loaded_at", time("When it was loaded")),
        ]),
        "Schemas": object("All schemas that were loaded.", &[("schemas", list_of(&reference("SchemaRow")))]),
        "SchemaCollection": collection,
        "LoadedSchema": object("A schema that was loaded, whole.", &[
            ("name", of("string", "Its name")),
            ("version", number("Its version")),
            ("collections", by_name),
            ("dropped", list_of(&of("string", "A collection that went"))),
            ("fingerprint", of("string", "Equal for equal schemas")),
            ("loaded_at", time("When it was loaded")),
        ]),
        "SchemaPlan": object("What loading a schema does, or did.", &[
            ("name", of("string", "The schema's name")),
            ("from", json!({ "type": ["integer", "null"], "description": "The version before" })),
            ("to", number("The version of the schema")),
            ("adopted", list_of(&of("string", "A collection that no schema made, taken as it is"))),
            ("steps", list_of(&of("string", "A step in words"))),
        ]),
    })
}
