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
    for part in [basics(), collections(), schemas()] {
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
                "bool", "time", "date", "uuid", "bytes", "array", "map", "point"] }),
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
            or_null(of("string", "The declared field that is the id")),
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
            ("fields", list_of(&of("string", "A path"))),
            ("kind", json!({ "type": "string", "enum": ["unique_hash"] })),
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
