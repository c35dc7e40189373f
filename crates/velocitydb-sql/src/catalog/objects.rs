//! What of a database has a number: schemas, tables with their columns, indexes, constraints and
//! defaults, and sequences.
//!
//! Numbers of objects (`oid`) say which rows of several tables are about the same, in this order:
//!
//! - What is always there has PostgreSQL's own number.
//! - A table has that of its collection, behind [`FIRST_USER`], from which on PostgreSQL numbers what
//!   users make. One that a transaction has made gets it at the commit; before, it is as all others.
//! - All others have none of their own. Theirs is a hash of what they are called and of what they are
//!   part of, in the upper half ([`HASHED`]); the next one that is free, where another has it already.
//!
//! So they are the same in all sessions and after a restart for as long as nobody renames the object,
//! and fit into an int4, which some programs ask for.
//! Tests: tests/it/slt/catalog_tables.slt.

use std::collections::{BTreeMap, HashMap, HashSet};

use velocitydb::locks::CollectionId;
use velocitydb::{
    Collections, Definition, IndexDefinition, IndexField, IndexKind, SequenceDefinition,
};
use velocitydb_types::{Expression, Reference, Value};

use super::PG_CATALOG;
use crate::indexed::Terms;
use crate::table::Table;

/// The number from which on PostgreSQL numbers what users make.
const FIRST_USER: i64 = 16_384;
/// Numbers from here on are made of names.
const HASHED: i64 = 1 << 30;

pub(super) const PUBLIC: i64 = 2200;
pub(super) const INFORMATION_SCHEMA: i64 = 13_207;
pub(super) const VELOCITY: i64 = 1;

/// Schemas that are always there.
pub(super) const SCHEMAS: [(&str, i64); 4] = [
    ("pg_catalog", PG_CATALOG),
    ("public", PUBLIC),
    ("information_schema", INFORMATION_SCHEMA),
    // It is ours, with a number that PostgreSQL gives nobody.
    ("velocity", VELOCITY),
];

/// The number of a collection's table.
pub(super) fn of_collection(id: CollectionId) -> i64 {
    FIRST_USER + i64::from(id.0)
}

/// See the module.
pub(crate) struct Objects {
    pub(super) schemas: Vec<(String, i64)>,
    pub(super) tables: Vec<TableObject>,
    pub(super) sequences: Vec<SequenceObject>,
    by_oid: HashMap<i64, Object>,
    by_name: HashMap<String, i64>,
}

/// Where something is among [`Objects`].
#[derive(Debug, Clone, Copy)]
pub(super) enum Object {
    Table(usize),
    Sequence(usize),
    /// Of a table, by its number there.
    Index(usize, usize),
    Constraint(usize, usize),
}

pub(super) struct TableObject {
    pub(super) oid: i64,
    /// The number of its schema.
    pub(super) schema: i64,
    pub(super) name: String,
    pub(super) table: Table,
    pub(super) indexes: Vec<IndexObject>,
    pub(super) constraints: Vec<ConstraintObject>,
    /// Of columns that have one, by their position.
    pub(super) defaults: BTreeMap<usize, i64>,
}

pub(super) struct SequenceObject {
    pub(super) oid: i64,
    pub(super) schema: i64,
    pub(super) name: String,
    pub(super) definition: SequenceDefinition,
    /// The table and the number of the column that it is for.
    pub(super) owner: Option<(usize, i64)>,
}

pub(super) struct IndexObject {
    pub(super) oid: i64,
    pub(super) name: String,
    pub(super) definition: IndexDefinition,
    pub(super) primary: bool,
    /// The constraint that it serves.
    pub(super) constraint: Option<i64>,
}

pub(super) struct ConstraintObject {
    pub(super) oid: i64,
    pub(super) name: String,
    pub(super) kind: ConstraintKind,
    /// Numbers of columns.
    pub(super) columns: Vec<i64>,
}

pub(super) enum ConstraintKind {
    Primary {
        index: i64,
    },
    Unique {
        index: i64,
    },
    /// Of so many of the table's checks.
    Check(usize),
    /// To the table of this number, if it is there.
    Reference {
        reference: Reference,
        to: Option<usize>,
    },
}

impl IndexObject {
    /// What PostgreSQL calls such an index's way.
    pub(super) fn method(&self) -> &'static str {
        let elements = self.definition.fields.iter().any(|field| field.elements);
        match self.definition.kind {
            IndexKind::FullText => "gin",
            IndexKind::Hash if elements => "gin",
            IndexKind::Geo => "gist",
            IndexKind::Hash if !self.definition.unique => "hash",
            _ => "btree",
        }
    }
}

impl TableObject {
    /// The number of a column, from 1.
    pub(super) fn column_number(&self, name: &str) -> Option<i64> {
        let at = self.table.position(name)?;
        Some(at as i64 + 1)
    }

    /// The column that a part of an index is, if it is no expression. Terms are of a column as it is, words
    /// are not.
    pub(super) fn column_of<'i>(
        &self,
        index: &IndexDefinition,
        field: &'i IndexField,
    ) -> Option<&'i str> {
        let name = match &field.expression {
            _ if index.kind == IndexKind::FullText => return None,
            None if !field.path.rest().is_empty() => return None,
            None => field.path.first(),
            Some(of) => {
                let [path] = of.paths()[..] else { return None };
                let terms = Terms::of(&field.path)?;
                let plain = format!("{}(\"{}\")", terms.function(), path.first());
                let plain = plain.parse::<Expression>().ok()?;
                plain.is_same(of).then(|| path.first())?
            }
        };
        self.table.column(name).map(|_| name)
    }

    /// The numbers of an index's columns; 0 for an expression.
    pub(super) fn index_columns(&self, index: &IndexDefinition) -> Vec<i64> {
        let columns = index.fields.iter().map(|field| {
            let column = self.column_of(index, field);
            column
                .and_then(|name| self.column_number(name))
                .unwrap_or(0)
        });
        columns.collect()
    }
}

/// Gives numbers.
#[derive(Default)]
struct Numbers(HashSet<i64>);

impl Numbers {
    /// One that is made of names (64 bits FNV-1a).
    fn of(&mut self, kind: &str, owner: i64, name: &str) -> i64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let owner = owner.to_le_bytes();
        for byte in kind.bytes().chain(owner).chain(name.bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let mut number = HASHED + (hash >> 34) as i64;
        while !self.0.insert(number) {
            number = HASHED + (number + 1) % HASHED;
        }
        number
    }
}

/// Schema and name of a collection.
pub(super) fn split(name: &str) -> (&str, &str) {
    name.split_once('.').unwrap_or(("public", name))
}

impl Objects {
    /// Those of a database with these sequences.
    pub(crate) fn new(of: &Collections, sequences: Vec<SequenceDefinition>) -> Objects {
        let mut numbers = Numbers::default();
        let mut objects = Objects {
            schemas: Vec::new(),
            tables: Vec::new(),
            sequences: Vec::new(),
            by_oid: HashMap::new(),
            by_name: HashMap::new(),
        };
        let always = SCHEMAS.iter();
        objects.schemas = always
            .map(|(name, oid)| ((*name).to_owned(), *oid))
            .collect();
        // By their numbers, so that a hash that two have goes to the older one.
        let mut all: Vec<_> = of.iter().collect();
        all.sort_by_key(|(id, _)| *id);
        for (id, definition) in all {
            objects.add_table(id, definition, &mut numbers);
        }
        objects.refer();
        for definition in sequences {
            objects.add_sequence(definition, &mut numbers);
        }
        objects
    }

    fn schema(&mut self, name: &str, numbers: &mut Numbers) -> i64 {
        match self.schemas.iter().find(|(known, _)| known == name) {
            Some((_, oid)) => *oid,
            None => {
                let oid = numbers.of("schema", 0, name);
                self.schemas.push((name.to_owned(), oid));
                oid
            }
        }
    }

    fn add_table(&mut self, id: CollectionId, definition: &Definition, numbers: &mut Numbers) {
        let (schema, name) = split(&definition.name);
        let oid = match id.is_provisional() {
            true => numbers.of("table", 0, &definition.name),
            false => of_collection(id),
        };
        let at = self.tables.len();
        let table = Table::new(definition.clone());
        let with_default = table.columns.iter().enumerate();
        let with_default = with_default.filter(|(_, column)| super::texts::has_default(column));
        let defaults = with_default
            .map(|(at, column)| (at, numbers.of("default", oid, &column.name)))
            .collect();
        let mut object = TableObject {
            oid,
            schema: self.schema(schema, numbers),
            name: name.to_owned(),
            table,
            indexes: Vec::new(),
            constraints: Vec::new(),
            defaults,
        };
        object.add_indexes(numbers);
        object.add_constraints(numbers);
        self.by_oid.insert(oid, Object::Table(at));
        self.by_name.insert(definition.name.clone(), oid);
        for (index, one) in object.indexes.iter().enumerate() {
            self.by_oid.insert(one.oid, Object::Index(at, index));
            self.by_name
                .insert(crate::search_path::in_schema(schema, &one.name), one.oid);
        }
        for (constraint, one) in object.constraints.iter().enumerate() {
            self.by_oid
                .insert(one.oid, Object::Constraint(at, constraint));
        }
        self.tables.push(object);
    }

    /// Finds the tables that constraints refer to.
    fn refer(&mut self) {
        let by_name = self.tables.iter().enumerate();
        let by_name: HashMap<String, usize> = by_name
            .map(|(at, table)| (table.table.name().to_owned(), at))
            .collect();
        let constraints = self
            .tables
            .iter_mut()
            .flat_map(|table| &mut table.constraints);
        for constraint in constraints {
            if let ConstraintKind::Reference { reference, to } = &mut constraint.kind {
                *to = by_name.get(&reference.collection).copied();
            }
        }
    }

    fn add_sequence(&mut self, definition: SequenceDefinition, numbers: &mut Numbers) {
        let (schema, name) = split(&definition.name);
        let (schema, name) = (self.schema(schema, numbers), name.to_owned());
        let oid = numbers.of("sequence", 0, &definition.name);
        let owner = definition.owner.as_ref().and_then(|owner| {
            let mut tables = self.tables.iter();
            let at = tables.position(|table| table.table.name() == owner.collection)?;
            Some((at, self.tables[at].column_number(&owner.field)?))
        });
        self.by_oid
            .insert(oid, Object::Sequence(self.sequences.len()));
        self.by_name.insert(definition.name.clone(), oid);
        self.sequences.push(SequenceObject {
            oid,
            schema,
            name,
            definition,
            owner,
        });
    }

    /// What has this number.
    pub(super) fn find(&self, oid: i64) -> Option<Object> {
        self.by_oid.get(&oid).copied()
    }

    /// The number of the table, index or sequence of a collection's name.
    pub(super) fn relation(&self, name: &str) -> Option<i64> {
        self.by_name.get(name).copied()
    }

    pub(super) fn table(&self, oid: i64) -> Option<&TableObject> {
        match self.find(oid)? {
            Object::Table(at) => Some(&self.tables[at]),
            _ => None,
        }
    }

    pub(super) fn index(&self, oid: i64) -> Option<(&TableObject, &IndexObject)> {
        match self.find(oid)? {
            Object::Index(at, index) => {
                let table = &self.tables[at];
                Some((table, &table.indexes[index]))
            }
            _ => None,
        }
    }

    pub(super) fn constraint(&self, oid: i64) -> Option<(&TableObject, &ConstraintObject)> {
        match self.find(oid)? {
            Object::Constraint(at, constraint) => {
                let table = &self.tables[at];
                Some((table, &table.constraints[constraint]))
            }
            _ => None,
        }
    }

    pub(super) fn schema_name(&self, oid: i64) -> Option<&str> {
        let mut schemas = self.schemas.iter();
        let found = schemas.find(|(_, known)| *known == oid);
        found.map(|(name, _)| name.as_str())
    }

    /// Schema and name of a table, an index or a sequence.
    pub(super) fn relation_name(&self, oid: i64) -> Option<(i64, &str)> {
        Some(match self.find(oid)? {
            Object::Table(at) => (self.tables[at].schema, &self.tables[at].name),
            Object::Sequence(at) => (self.sequences[at].schema, &self.sequences[at].name),
            Object::Index(at, index) => {
                let table = &self.tables[at];
                (table.schema, &table.indexes[index].name)
            }
            Object::Constraint(..) => return None,
        })
    }
}

impl TableObject {
    fn add_indexes(&mut self, numbers: &mut Numbers) {
        let definition = &self.table.definition;
        let key_name = self.table.key_constraint();
        let key = definition.primary_key.as_ref().map(|key| {
            let fields = key.fields().iter();
            let paths = fields.map(velocitydb::Path::field).collect();
            IndexDefinition::unique(key_name.clone(), paths)
        });
        // Those of references are the engine's own.
        let others = definition.all_indexes();
        let others = others.filter(|index| index.unique || !index.name.starts_with('_'));
        for index in key.into_iter().chain(others) {
            let (_, name) = split(&index.name);
            self.indexes.push(IndexObject {
                oid: numbers.of("index", self.oid, &index.name),
                name: name.to_owned(),
                primary: index.name == key_name,
                constraint: None,
                definition: index,
            });
        }
    }

    /// A unique index is a constraint if UNIQUE has made it, whose indexes are by hash; those of
    /// CREATE UNIQUE INDEX are ordered.
    fn add_constraints(&mut self, numbers: &mut Numbers) {
        let oid = self.oid;
        let mut constraints = Vec::new();
        let mut add = |name: &str, kind, columns| {
            let oid = numbers.of("constraint", oid, name);
            constraints.push(ConstraintObject {
                oid,
                name: name.to_owned(),
                kind,
                columns,
            });
            oid
        };
        let table = &self.table.definition;
        for (at, check) in table.schema.checks().iter().enumerate() {
            let paths = check.expression().paths();
            let mut columns: Vec<_> = paths
                .iter()
                .filter_map(|path| self.column_number(path.first()))
                .collect();
            columns.dedup();
            add(check.name(), ConstraintKind::Check(at), columns);
        }
        for field in table.schema.fields() {
            if let Some(reference) = &field.references {
                let (_, own) = split(table.name.as_str());
                let name = format!("{own}_{}_fkey", field.name);
                let (reference, to) = (reference.clone(), None);
                let columns = self.column_number(&field.name).into_iter().collect();
                add(&name, ConstraintKind::Reference { reference, to }, columns);
            }
        }
        let mut of_indexes = Vec::new();
        for (at, index) in self.indexes.iter().enumerate() {
            let of = index.oid;
            let kind = match index.primary {
                true => ConstraintKind::Primary { index: of },
                false => ConstraintKind::Unique { index: of },
            };
            let definition = &index.definition;
            let by_hash = matches!(definition.kind, IndexKind::Hash) && definition.unique;
            if index.primary || by_hash && definition.filter.is_none() {
                let columns = self.index_columns(definition);
                of_indexes.push((at, add(&index.name, kind, columns)));
            }
        }
        for (at, constraint) in of_indexes {
            self.indexes[at].constraint = Some(constraint);
        }
        self.constraints = constraints;
    }
}

/// A list of numbers, as an array.
pub(super) fn numbers(numbers: impl IntoIterator<Item = i64>) -> Value {
    Value::Array(numbers.into_iter().map(Value::Int).collect())
}
