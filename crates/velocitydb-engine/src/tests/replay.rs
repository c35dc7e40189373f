//! The same entries give the same state, whatever else differs between two nodes: the seed of
//! their hashes, the snapshots that they hold, and when they give old versions back.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crossbeam_epoch::pin;
use proptest::prelude::*;
use velocitydb_types::{
    DefaultValue, Field, FieldOperation, FieldType, Fields, Key, Openness, Path, Schema, TimeSpan,
    Timestamp, Value,
};

use crate::catalog::{
    Alteration, CollectionId, DatabaseDefinition, DatabaseId, Definition, IndexDefinition,
    PROVISIONAL, Persistence,
};
use crate::changes::HistoryOptions;
use crate::command::{
    Change, Command, Condition, Entry, Expires, Mode, Operation, Results, Retry, Write,
};
use crate::state::State;

#[derive(Debug, Clone)]
struct Step {
    /// The proposer's clock against the one before, in µs: it may go back.
    clock: i64,
    proposal: Proposal,
    /// What one of the nodes does besides.
    aside: Aside,
}

#[derive(Debug, Clone)]
enum Proposal {
    Write {
        each: bool,
        operations: Vec<Asked>,
        retry: Option<(u8, u8, i64)>,
    },
    Create(u8, u8),
    CreateDatabase(u8),
    RenameDatabase(u8, u8),
    DropDatabase(u8),
    Drop(u8),
    Truncate(u8),
    CreateIndex(u8, u8),
    DropIndex(u8, u8),
    Alter(u8, u8),
    /// Definitions, and writes beside them.
    Transaction(Vec<Proposal>, Vec<Asked>),
}

/// Collection, id, condition, change, and for how long.
type Asked = (u8, u8, When, What, Option<i64>);

#[derive(Debug, Clone)]
enum When {
    Always,
    Absent,
    Present,
    Version(u8),
    Equals(u8),
    Index(u8),
    Unchanged(u8),
}

#[derive(Debug, Clone)]
enum What {
    Nothing,
    Put(u8, u8),
    Add(u8),
    Delete,
}

#[derive(Debug, Clone)]
enum Aside {
    Nothing,
    Hold,
    Release(u8),
    Collect(u8),
    Expire(u8),
}

fn operations() -> impl Strategy<Value = Vec<Asked>> {
    let when = prop_oneof![
        4 => Just(When::Always),
        2 => Just(When::Absent),
        2 => Just(When::Present),
        1 => (0..4_u8).prop_map(When::Version),
        1 => (0..4_u8).prop_map(When::Equals),
        1 => any::<u8>().prop_map(When::Index),
        1 => any::<u8>().prop_map(When::Unchanged),
    ];
    let what = prop_oneof![
        1 => Just(What::Nothing),
        5 => (0..4_u8, 0..4_u8).prop_map(|(n, m)| What::Put(n, m)),
        2 => (0..4_u8).prop_map(What::Add),
        3 => Just(What::Delete),
    ];
    let expires = proptest::option::weighted(0.3, -5..60_i64);
    proptest::collection::vec((0..3_u8, 0..5_u8, when, what, expires), 1..6)
}

/// Of collections and indexes.
fn definition() -> impl Strategy<Value = Proposal> + Clone {
    prop_oneof![
        2 => (0..3_u8, 0..4_u8).prop_map(|(name, to)| Proposal::Create(name, to)),
        1 => (0..4_u8).prop_map(Proposal::Drop),
        2 => (0..4_u8, 0..4_u8).prop_map(|(at, name)| Proposal::CreateIndex(at, name)),
        1 => (0..4_u8, 0..4_u8).prop_map(|(at, name)| Proposal::DropIndex(at, name)),
        2 => (0..4_u8, 0..8_u8).prop_map(|(at, form)| Proposal::Alter(at, form)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let transaction = (proptest::collection::vec(definition(), 1..5), operations());
    let retry = proptest::option::weighted(0.3, (0..3_u8, 0..2_u8, 0..60_i64));
    let proposal = prop_oneof![
        12 => (any::<bool>(), operations(), retry)
            .prop_map(|(each, operations, retry)| Proposal::Write { each, operations, retry }),
        2 => (0..3_u8, 0..4_u8).prop_map(|(name, to)| Proposal::Create(name, to)),
        1 => (0..2_u8).prop_map(Proposal::CreateDatabase),
        1 => (0..4_u8, 0..2_u8).prop_map(|(at, name)| Proposal::RenameDatabase(at, name)),
        1 => (0..4_u8).prop_map(Proposal::DropDatabase),
        1 => (0..3_u8).prop_map(Proposal::Drop),
        1 => (0..3_u8).prop_map(Proposal::Truncate),
        1 => (0..3_u8, 0..4_u8).prop_map(|(at, name)| Proposal::CreateIndex(at, name)),
        1 => (0..3_u8, 0..4_u8).prop_map(|(at, name)| Proposal::DropIndex(at, name)),
        1 => (0..3_u8, 0..8_u8).prop_map(|(at, form)| Proposal::Alter(at, form)),
        6 => transaction.prop_map(|(definitions, writes)| Proposal::Transaction(definitions, writes)),
    ];
    let aside = prop_oneof![
        3 => Just(Aside::Nothing),
        1 => Just(Aside::Hold),
        1 => any::<u8>().prop_map(Aside::Release),
        1 => (1..8_u8).prop_map(Aside::Collect),
        1 => (1..8_u8).prop_map(Aside::Expire),
    ];
    (-10..20_i64, proposal, aside).prop_map(|(clock, proposal, aside)| Step {
        clock,
        proposal,
        aside,
    })
}

fn document(n: u8, m: u8) -> Vec<u8> {
    let fields = [("n", n), ("m", m)];
    // 0 stands for nothing: absent values are in no unique index.
    let fields = fields.into_iter().filter(|(_, value)| *value > 0);
    let fields = fields.map(|(name, value)| (name.to_owned(), Value::Int(i64::from(value))));
    let mut fields: BTreeMap<_, _> = fields.collect();
    // Of the seconds before 1970, and of the first one after it.
    let time = [None, Some(-1), Some(-1_000_001), Some(5)][usize::from(m)];
    fields.extend(time.map(|time| ("at".to_owned(), Value::Time(Timestamp(time)))));
    Fields::from_map(&fields).unwrap().into_bytes().into_vec()
}

/// The collection that stands at this place in the catalog; behind them those that a transaction makes,
/// or one that does not exist.
fn at(state: &State, place: u8) -> CollectionId {
    let place = usize::from(place);
    let found = state.catalog.collections().nth(place);
    let there = state.catalog.collections().count();
    let new = CollectionId(PROVISIONAL.0 + (place.saturating_sub(there)) as u32);
    found.map_or(new, |found| found.id)
}

/// The database that stands at this place in the catalog, or one that does not exist.
fn database(state: &State, place: u8) -> DatabaseId {
    let found = state.catalog.databases().nth(usize::from(place));
    found.map_or(DatabaseId(1000), |(id, _)| id)
}

fn database_called(name: u8) -> DatabaseDefinition {
    DatabaseDefinition::new(format!("d{name}"))
}

/// The command, made under the present state as a gateway would.
fn command(state: &State, proposal: &Proposal, now: i64) -> Command<'static> {
    let index = |name: u8| format!("i{name}");
    match proposal {
        Proposal::Write {
            each,
            operations,
            retry,
        } => {
            let operations = operations.iter().map(|one| operation(state, one, now));
            Command::Write(Write {
                mode: if *each { Mode::Each } else { Mode::Atomic },
                resolved_at: state.catalog.changed_at(),
                operations: operations.collect(),
                retry: retry.map(|(key, request, kept)| Retry {
                    database: database(state, key % 2),
                    key: Cow::Owned(format!("k{key}")),
                    request: u64::from(request),
                    expires: now + kept,
                }),
            })
        }
        Proposal::Create(name, to) => {
            let n = Field::new("n", FieldType::Int).unique();
            let schema = Schema::new(Openness::Open, vec![n]).unwrap();
            let definition = Definition::new(format!("c{name}")).schema(schema);
            Command::CreateCollection(database(state, *to), Box::new(definition))
        }
        Proposal::CreateDatabase(name) => Command::CreateDatabase(database_called(*name)),
        Proposal::RenameDatabase(place, name) => {
            Command::AlterDatabase(database(state, *place), database_called(*name))
        }
        Proposal::DropDatabase(place) => Command::DropDatabase(database(state, *place)),
        Proposal::Drop(place) => Command::DropCollection(at(state, *place)),
        Proposal::Truncate(place) => Command::Truncate(at(state, *place)),
        Proposal::CreateIndex(place, name) => {
            let name = *name;
            let path = Path::field(["n", "m", "at", "at"][usize::from(name)]);
            let definition = match name {
                0 | 1 => IndexDefinition::unique(index(name), vec![path]),
                // Documents of the last second before 1970 expire while the test runs.
                2 => IndexDefinition::time_series(index(name), path, TimeSpan(1_000_000))
                    .keep_for(TimeSpan(1_080)),
                _ => IndexDefinition::time_series(index(name), path, TimeSpan(1_000_000))
                    .keep_for(TimeSpan(1_000_000))
                    .only("n > 1".parse().unwrap()),
            };
            Command::CreateIndex(at(state, *place), definition)
        }
        Proposal::DropIndex(place, name) => Command::DropIndex(at(state, *place), index(*name)),
        Proposal::Alter(place, form) => alter(state, *place, *form),
        Proposal::Transaction(definitions, writes) => {
            let definitions = definitions.iter();
            let mut operations: Vec<_> = writes
                .iter()
                .map(|one| operation(state, one, now))
                .collect();
            // Documents are put as a whole.
            operations.retain(|one| !matches!(one.change, Change::Patch(_)));
            Command::Transaction {
                definitions: definitions.map(|one| command(state, one, now)).collect(),
                write: Write {
                    mode: Mode::Atomic,
                    resolved_at: state.catalog.changed_at(),
                    operations: operations.into(),
                    retry: None,
                },
            }
        }
    }
}

/// Gives a collection one of eight forms: is `n` unique, is there a `z`, is `m` text.
fn alter(state: &State, place: u8, form: u8) -> Command<'static> {
    let id = at(state, place);
    let Some(present) = state.catalog.by_id(id) else {
        return Command::DropCollection(id);
    };
    let mut fields = vec![Field::new("n", FieldType::Int)];
    fields[0].unique = form & 1 != 0;
    let text = form & 2 != 0;
    fields.push(Field::new(
        "m",
        if text {
            FieldType::String
        } else {
            FieldType::Int
        },
    ));
    if form & 4 != 0 {
        fields.push(Field::new("z", FieldType::Int).with_default(DefaultValue::Constant(5.into())));
    }
    let schema = Schema::new(Openness::Open, fields).unwrap();
    let had = present.definition.schema.field("z").is_some();
    let mut alteration = Alteration::to(present.definition.clone().schema(schema));
    if had && form & 4 == 0 {
        alteration = alteration.drop("z");
    }
    Command::Alter(id, Box::new(alteration))
}

fn operation(state: &State, asked: &Asked, now: i64) -> Operation<'static> {
    let (place, id, when, what, expires) = asked;
    let path = Path::field("n");
    let recent = |back: u8| state.logged.last_index.saturating_sub(u64::from(back % 8));
    Operation {
        collection: at(state, *place),
        key: Cow::Owned(
            Key::from_value(&Value::Int(i64::from(*id)))
                .unwrap()
                .as_bytes()
                .into(),
        ),
        condition: match when {
            When::Always => Condition::None,
            When::Absent => Condition::Absent,
            When::Present => Condition::Present,
            When::Version(version) => Condition::Version(u64::from(*version)),
            When::Equals(n) => Condition::Fields(vec![(path.clone(), i64::from(*n).into())]),
            When::Index(back) => Condition::Index(recent(*back)),
            When::Unchanged(back) => Condition::CollectionIndex(recent(*back)),
        },
        change: match what {
            What::Nothing => Change::None,
            What::Put(n, m) => Change::Put(Cow::Owned(document(*n, *m))),
            What::Add(n) => Change::Patch(vec![FieldOperation::Add {
                path,
                by: i64::from(*n).into(),
            }]),
            What::Delete => Change::Delete,
        },
        expires: expires.map_or(Expires::Default, |after| Expires::At(now + after)),
    }
}

/// What a client would be told.
fn told(results: &Results) -> Vec<String> {
    let one = |result: &Result<crate::command::Outcome, _>| match result {
        Ok(outcome) => format!(
            "{:?} v{} {:?}",
            outcome.effect, outcome.version, outcome.earlier_id
        ),
        Err(refusal) => format!("{refusal}"),
    };
    results.iter().map(one).collect()
}

/// No two documents have the same value of a unique field, and each is found by its id.
fn check(state: &State) {
    for collection in state.catalog.collections() {
        let mut values = Vec::new();
        let mut many = 0;
        collection.table.scan(0, u64::MAX, |document| {
            many += 1;
            let (table, key) = (&collection.table, document.key_bytes());
            let newest = table.newest(table.hash(key), key, &pin()).unwrap().version;
            assert_eq!(newest.body_slice(), document.body_slice());
            if document.is_live(Timestamp(state.logged.last_time)) {
                values.extend(document.get("n").map(|n| n.as_int()));
            }
            true
        });
        assert_eq!(many, collection.table.live());
        values.sort_unstable();
        let n = collection.definition.schema.field("n");
        let unique = n.is_some_and(|n| n.unique);
        assert!(
            !unique || values.windows(2).all(|two| two[0] != two[1]),
            "{values:?}"
        );
    }
}

/// A node with a life of its own besides the log.
struct Node {
    state: State,
    held: Vec<u64>,
}

impl Node {
    fn new(seed: u64) -> Node {
        Node {
            state: State::new(seed, None, HistoryOptions::default()),
            held: Vec::new(),
        }
    }

    fn aside(&mut self, aside: &Aside) {
        let snapshots = &self.state.shared.logged.snapshots;
        match *aside {
            Aside::Nothing => {}
            Aside::Hold => {
                let index = self.state.logged.last_index;
                let time = Timestamp(self.state.logged.last_time);
                self.held.push(snapshots.register(|| (index, time, ())).0);
            }
            Aside::Release(which) if !self.held.is_empty() => {
                let which = usize::from(which) % self.held.len();
                snapshots.release(self.held.swap_remove(which));
            }
            Aside::Release(_) => {}
            Aside::Collect(limit) => {
                self.state.collect(Persistence::Logged, usize::from(limit));
            }
            Aside::Expire(limit) => {
                let (logged, time) = (Persistence::Logged, Timestamp(0));
                self.state.remove_expired(logged, time, usize::from(limit));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// A single node logs what was accepted; replay accepts all of it again.
    #[test]
    fn a_replayed_log_gives_the_same_state(steps in proptest::collection::vec(step(), 1..60)) {
        let mut first = Node::new(1);
        let mut clock = 1000;
        let mut log = Vec::new();
        for step in &steps {
            clock += step.clock;
            let command = command(&first.state, &step.proposal, clock);
            let entry = Entry { stamp: clock, command };
            let before = first.state.digest();
            let staged = first.state.stage(entry.timestamp(), &entry.command, &pin());
            prop_assert_eq!(first.state.digest(), before, "staging changes nothing");
            if let Ok(mut staged) = staged && staged.changes() {
                first.state.publish(&mut staged, 3, &pin());
                let index = first.state.logged.last_index;
                first.state.shared.logged.visible.advance(index);
                check(&first.state);
                log.push((entry.encode(), told(&staged.results), first.state.digest()));
            }
            first.aside(&step.aside);
        }
        let mut second = State::new(2, None, HistoryOptions::default());
        for (at, (bytes, results, digest)) in log.into_iter().enumerate() {
            let entry = Entry::decode(&bytes).unwrap();
            let again = second.apply(at as u64 + 1, 3, &entry);
            prop_assert!(again.is_ok(), "entry {}: {:?}", at + 1, again);
            prop_assert_eq!(told(&again.unwrap()), results);
            prop_assert_eq!(second.digest(), digest, "after entry {}", at + 1);
        }
    }

    /// In a replicated log refused entries stand as well: every node refuses the same ones, in
    /// the same words.
    #[test]
    fn two_nodes_decide_alike(steps in proptest::collection::vec(step(), 1..60)) {
        let (mut one, mut other) = (Node::new(5), Node::new(6));
        let mut clock = 1000;
        for (at, step) in steps.iter().enumerate() {
            clock += step.clock;
            let bytes = Entry { stamp: clock, command: command(&one.state, &step.proposal, clock) }.encode();
            let entry = Entry::decode(&bytes).unwrap();
            let answers = [&mut one, &mut other].map(|node| {
                let answer = node.state.apply(at as u64 + 1, 1, &entry);
                answer.map(|results| told(&results)).map_err(|no| (no.operation, no.refusal.to_string()))
            });
            prop_assert_eq!(&answers[0], &answers[1]);
            prop_assert_eq!(one.state.digest(), other.state.digest(), "after entry {}", at + 1);
            check(&other.state);
            other.aside(&step.aside);
        }
    }
}
