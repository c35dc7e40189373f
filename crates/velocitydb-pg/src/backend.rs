//! What the door asks of what is behind it, and what that may ask of the client.
//!
//! [`Backend`] makes a [`Session`] for each client; the door calls it message by message and hands
//! it the [`Client`], to which it writes rows through [`Output`]. The door knows the protocol, the
//! session knows statements, portals, transactions and settings.
//!
//! Invariants: the door calls one method of a session at a time, and drops the session when the
//! client is gone: dropping ends its transaction and gives back its locks. After every error,
//! whoever found it, the door calls [`Session::failed`] once. Nothing here does I/O or knows the
//! runtime. A session never holds more of a result than [`Output::is_full`] allows.
//!
//! Tests: tests/it, with a backend that knows a few words.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::error::PgError;
use crate::output::{Output, Tag};

/// The number of a type, as in `pg_type.oid`.
pub type Oid = u32;

/// How a value is written: `0` and `1` on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// As the type's text form.
    #[default]
    Text,
    /// As the type's binary form.
    Binary,
}

/// What makes sessions.
pub trait Backend: Send + Sync + 'static {
    /// What a client talks to.
    type Session: Session;

    /// Begins a session for a client who has proved who it is.
    ///
    /// # Errors
    /// The database does not exist (3D000), a setting is not valid (22023), …: the connection ends.
    fn connect(
        &self,
        startup: &Startup,
    ) -> impl Future<Output = Result<Self::Session, PgError>> + Send;
}

/// What a client says of itself when it connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Startup {
    /// The user; never empty.
    pub user: String,
    /// The database; empty when the client named none. Most programs name the user's then.
    pub database: String,
    /// The settings it asks for (`application_name`, `DateStyle`, …), those of `options` (`-c
    /// name=value`) included, in the order in which they came. `client_encoding` is not among them:
    /// the door speaks UTF-8 alone.
    pub settings: Vec<(String, String)>,
    /// Where the client is.
    pub address: SocketAddr,
    /// Whether what is said is encrypted.
    pub secure: bool,
}

/// One client's session.
///
/// Each method that may wait is a future; a session that never waits may answer at once. Futures
/// are dropped unfinished when the server is stopped and the session takes too long.
pub trait Session: Send + 'static {
    /// Reports the settings that clients keep track of, each by [`Output::parameter_status`], but
    /// `client_encoding`, `server_encoding`, `integer_datetimes` and `standard_conforming_strings`,
    /// which the door does. Called once, when the session begins; later changes are reported by the
    /// same method when they happen.
    fn report(&self, out: &mut Output);

    /// Its number (`pg_backend_pid()`), which no other open one has: by it and a secret that the door
    /// makes clients cancel.
    fn process_id(&self) -> i32;

    /// Where the session stands, for the end of each request.
    fn status(&self) -> TransactionStatus;

    /// What interrupts the statement that runs, from another thread.
    fn canceller(&self) -> Arc<dyn Cancel>;

    /// A request of the simple protocol: none, one or several statements. For each: its rows
    /// ([`Output::row_description`], [`Output::row`]), then [`Output::complete`]; without a
    /// statement [`Output::empty_query`]. Several are one implicit transaction. Rows are text,
    /// unless of a binary cursor.
    ///
    /// # Errors
    /// Those of the statements; what follows the failed one was not run.
    fn simple<C: Client>(
        &mut self,
        sql: &str,
        client: &mut C,
    ) -> impl Future<Output = Result<(), PgError>> + Send;

    /// Prepares a statement of the extended protocol. `name` is empty for the unnamed one, which
    /// is replaced; a type of `0` is to be inferred, as are those that are missing.
    ///
    /// # Errors
    /// A syntax error, a name that is taken (42P05), several statements (42601), …
    fn prepare(
        &mut self,
        name: &str,
        sql: &str,
        parameter_types: &[Oid],
    ) -> impl Future<Output = Result<(), PgError>> + Send;

    /// Tells parameters and columns of a prepared statement: [`Output::parameter_description`], then
    /// [`Output::columns`].
    ///
    /// # Errors
    /// No such statement (26000), or its columns are not what they were.
    fn describe_statement(&self, name: &str, out: &mut Output) -> Result<(), PgError>;

    /// Tells the columns of a portal, in the formats that they were asked for: [`Output::columns`].
    ///
    /// # Errors
    /// No such portal (34000).
    fn describe_portal(&self, name: &str, out: &mut Output) -> Result<(), PgError>;

    /// Makes a portal of a statement and its parameters.
    ///
    /// # Errors
    /// No such statement (26000), a wrong number of parameters or formats (08P01), a value that is
    /// not one of its type (22P02, 22P03), a name that is taken (42P03).
    fn bind(&mut self, bind: Bind<'_>) -> impl Future<Output = Result<(), PgError>> + Send;

    /// Writes the portal's next rows, `rows_max` at most (`0`: all), in its formats and without
    /// their description. What is executed up to the next [`Session::sync`] is one implicit
    /// transaction.
    ///
    /// # Errors
    /// No such portal (34000), and those of the statement.
    fn execute<C: Client>(
        &mut self,
        portal: &str,
        rows_max: u32,
        client: &mut C,
    ) -> impl Future<Output = Result<Execution, PgError>> + Send;

    /// Forgets a statement and its portals; without one of that name nothing happens.
    fn close_statement(&mut self, name: &str);

    /// Forgets a portal; without one of that name nothing happens.
    fn close_portal(&mut self, name: &str);

    /// The end of a request of the extended protocol: commits the implicit transaction.
    ///
    /// # Errors
    /// It could not be committed.
    fn sync(&mut self) -> impl Future<Output = Result<(), PgError>> + Send;

    /// A request failed: rolls back the implicit transaction, or marks the explicit one as failed.
    fn failed(&mut self) -> impl Future<Output = ()> + Send;

    /// Waits until something is to be told without having been asked; for ever when nothing is.
    /// Polled whenever the client is waited for, and once before each
    /// [`Output::ready`]; dropping the future loses no event. Notifications that come while a
    /// transaction is open are kept until it has ended.
    fn event(&mut self) -> impl Future<Output = Event> + Send;
}

/// What interrupts the statement that runs.
pub trait Cancel: Send + Sync {
    /// Lets the session's running statement, if there is one, fail with 57014.
    fn cancel(&self);
}

/// Something that a session tells without having been asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// NOTIFY on a channel that it listens to.
    Notification {
        /// The session that notified.
        process_id: i32,
        /// The channel.
        channel: String,
        /// What was said; may be empty.
        payload: String,
    },
    /// The session is over (idle for too long, ended by an administrator): the error is sent as
    /// fatal and the connection closed.
    End(PgError),
}

/// The client, as far as a session that runs a statement may talk to it.
pub trait Client: Send {
    /// What is written to the client next.
    fn out(&mut self) -> &mut Output;

    /// Sends what was written, and returns when the client has taken it. To be called when
    /// [`Output::is_full`] says so.
    ///
    /// # Errors
    /// The client is gone: the statement is to be ended with this error.
    fn drain(&mut self) -> impl Future<Output = Result<(), PgError>> + Send;

    /// Whether the request is known to end behind the statement that runs: its Sync has arrived.
    /// What runs in it is then a transaction of its own.
    fn ends_here(&self) -> bool;

    /// Asks the client for the data of COPY … FROM STDIN: `columns` have one `format` each.
    /// [`Client::copy_chunk`] follows, until the end or an error.
    ///
    /// # Errors
    /// As [`Client::drain`].
    fn copy_in(
        &mut self,
        format: Format,
        columns: usize,
    ) -> impl Future<Output = Result<(), PgError>> + Send;

    /// The next bytes of the client's data, not empty, cut anywhere; `None` at the end.
    ///
    /// # Errors
    /// The client gave up (57014), was cancelled (57014), broke the protocol (08P01), or is gone.
    fn copy_chunk(&mut self) -> impl Future<Output = Result<Option<&[u8]>, PgError>> + Send;
}

/// Where a session stands in transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TransactionStatus {
    /// Outside of an explicit transaction.
    #[default]
    Idle,
    /// In one.
    Open,
    /// In one that failed: only its end is accepted.
    Failed,
}

/// What became of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Execution {
    /// The statement has ended.
    Complete(Tag),
    /// There may be more rows.
    Suspended,
    /// The statement is empty.
    Empty,
}

/// A column of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column<'a> {
    /// Its name.
    pub name: &'a str,
    /// The table that it comes from, or 0.
    pub table: Oid,
    /// Its number in that table, or 0.
    pub attribute: i16,
    /// Its type.
    pub type_oid: Oid,
    /// Bytes of a value; negative where that varies.
    pub type_size: i16,
    /// What further distinguishes the type (`numeric(10, 2)`), or −1.
    pub type_modifier: i32,
}

impl Column<'_> {
    /// A column that comes from no table.
    pub fn new(name: &str, type_oid: Oid, type_size: i16) -> Column<'_> {
        Column {
            name,
            table: 0,
            attribute: 0,
            type_oid,
            type_size,
            type_modifier: -1,
        }
    }
}

/// The making of a portal.
#[derive(Debug, Clone, Copy)]
pub struct Bind<'a> {
    /// Its name; empty for the unnamed one, which is replaced.
    pub portal: &'a str,
    /// The statement's name; empty for the unnamed one.
    pub statement: &'a str,
    /// The values, in the order of the parameters.
    pub parameters: &'a [Parameter<'a>],
    /// How columns are to be written: none for text, one for all, or one for each.
    pub result_formats: &'a [Format],
}

/// A value for a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// How it is written.
    pub format: Format,
    /// Its bytes, which are not checked (text may be no UTF-8); `None` is NULL.
    pub value: Option<&'a [u8]>,
}

/// The format of the column at `index`, after the rule of the protocol: none for text, one for
/// all, or one for each.
pub fn format_of(formats: &[Format], index: usize) -> Format {
    match formats {
        [] => Format::Text,
        [all] => *all,
        each => each.get(index).copied().unwrap_or_default(),
    }
}
