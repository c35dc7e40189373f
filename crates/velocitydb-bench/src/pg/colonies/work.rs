//! What servers of ColonyOS say to their database, operation by operation.
//!
//! Each statement as lib/pq sends it: parsed without a name, described, and run a round trip later; one
//! after the other, each a transaction of its own. Submitting a process takes 13 statements, assigning
//! one 8, closing one 21; beside them lines of its log and a heart-beat.

use rand::Rng;
use rand::rngs::StdRng;

use super::super::wire::Client;
use super::{COLONY, EXECUTOR_TYPE};
use crate::BenchError;

const COLONY_BY_NAME: &str = "SELECT * FROM P_COLONIES WHERE NAME=$1";
const USER_BY_ID: &str = "SELECT * FROM P_USERS WHERE COLONY_NAME=$1 AND USER_ID=$2";
const EXECUTOR_BY_ID: &str = "SELECT * FROM P_EXECUTORS WHERE EXECUTOR_ID=$1";
const MARK_ALIVE: &str = "UPDATE P_EXECUTORS SET LASTHEARDFROM=$1 WHERE NAME=$2";
const PROCESS_BY_ID: &str = "SELECT * FROM P_PROCESSES WHERE PROCESS_ID=$1";
const ATTRIBUTES: &str = "SELECT * FROM P_ATTRIBUTES WHERE TARGET_ID=$1";
const ADD_ATTRIBUTE: &str = "INSERT INTO P_ATTRIBUTES (ATTRIBUTE_ID, KEY, VALUE, ATTRIBUTE_TYPE, TARGET_ID, TARGET_COLONY_NAME, PROCESSGRAPH_ID, ADDED, STATE) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const ADD_PROCESS: &str = "INSERT INTO P_PROCESSES (PROCESS_ID, TARGET_COLONY_NAME, TARGET_EXECUTOR_NAMES, ASSIGNED_EXECUTOR_ID, STATE, IS_ASSIGNED, EXECUTOR_TYPE, SUBMISSION_TIME, START_TIME, END_TIME, WAIT_DEADLINE, EXEC_DEADLINE, ERRORS, RETRIES, NODENAME, FUNCNAME, ARGS, KWARGS, MAX_WAIT_TIME, MAX_EXEC_TIME, MAX_RETRIES, DEPENDENCIES, PRIORITY, PRIORITYTIME, WAIT_FOR_PARENTS, PARENTS, CHILDREN, PROCESSGRAPH_ID, INPUT, OUTPUT, LABEL, FS, NODES, CPU, PROCESSES, PROCESSES_PER_NODE, MEMORY, STORAGE, GPUNAME, GPUCOUNT, GPUMEM, WALLTIME, INITIATOR_ID, INITIATOR_NAME, BLUEPRINT, CHANNELS, LOCATION_NAME) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47)";
const ASSIGN: &str = "UPDATE P_PROCESSES SET IS_ASSIGNED = TRUE, START_TIME = NOW(), ASSIGNED_EXECUTOR_ID = $12, STATE = $13,
    EXEC_DEADLINE = CASE WHEN MAX_EXEC_TIME > 0 THEN NOW() + (MAX_EXEC_TIME * INTERVAL '1 second') ELSE EXEC_DEADLINE END
WHERE PROCESS_ID = (
    SELECT PROCESS_ID FROM P_PROCESSES
    WHERE ($1 = ANY(TARGET_EXECUTOR_NAMES) OR (array_length(TARGET_EXECUTOR_NAMES, 1) IS NULL OR TARGET_EXECUTOR_NAMES = ARRAY['*']::text[]))
      AND EXECUTOR_TYPE = $2 AND STATE = $3 AND IS_ASSIGNED = FALSE AND WAIT_FOR_PARENTS = FALSE AND TARGET_COLONY_NAME = $4
      AND CPU <= $5 AND MEMORY <= $6 AND STORAGE <= $7 AND NODES <= $8 AND PROCESSES <= $9 AND PROCESSES_PER_NODE <= $10
      AND (LOCATION_NAME IS NULL OR LOCATION_NAME = '' OR LOWER(LOCATION_NAME) = LOWER($11))
    ORDER BY PRIORITYTIME ASC LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING *";
const ADD_LOG: &str = "INSERT INTO P_LOGS (PROCESS_ID, COLONY_NAME, EXECUTOR_NAME, TS, MSG, ADDED) VALUES ($1, $2, $3, $4, $5, $6)";
const SET_OUTPUT: &str = "UPDATE P_PROCESSES SET OUTPUT=$1 WHERE PROCESS_ID=$2";
const MARK_SUCCESSFUL: &str = "UPDATE P_PROCESSES SET END_TIME=$1, STATE=$2 WHERE PROCESS_ID=$3";
const SET_ATTRIBUTE_STATE: &str = "UPDATE P_ATTRIBUTES SET STATE=$1 WHERE TARGET_ID=$2";
const FUNCTION: &str =
    "SELECT * FROM P_FUNCTIONS WHERE COLONY_NAME=$1 AND EXECUTOR_NAME=$2 AND FUNCNAME=$3";
const SET_STATISTICS: &str = "UPDATE P_FUNCTIONS SET COUNTER=$1, MINWAITTIME=$2, MAXWAITTIME=$3, MINEXECTIME=$4, MAXEXECTIME=$5, AVGWAITTIME=$6, AVGEXECTIME=$7 WHERE COLONY_NAME=$8 AND EXECUTOR_NAME=$9 AND FUNCNAME=$10";

const GIVE_BACK: &str = "UPDATE P_PROCESSES SET IS_ASSIGNED=FALSE, ASSIGNED_EXECUTOR_ID=$1, STATE=$2 WHERE PROCESS_ID=$3";
const RUNNING: &str = "SELECT * FROM P_PROCESSES WHERE STATE=$1";
const WAITING: &str = "SELECT * FROM P_PROCESSES WHERE STATE=$1 ORDER BY PRIORITYTIME LIMIT 1000";

/// Go's zero time.
const ZERO_TIME: &str = "0001-01-01 00:00:00Z";
/// A time as lib/pq writes it.
const TIME: &str = "2026-11-22 12:34:56.123456789Z";

/// An executor and its connection.
pub(super) struct Worker {
    client: Client,
    number: usize,
    name: String,
    id: String,
    random: StdRng,
}

impl Worker {
    pub(super) fn new(client: Client, number: usize, random: StdRng) -> Worker {
        Worker {
            client,
            number,
            name: format!("{COLONY}:executor{number}"),
            id: format!("x{number}"),
            random,
        }
    }

    fn ask(&mut self, sql: &str, parameters: &[&str]) -> Result<Option<String>, BenchError> {
        self.client.ask(sql, parameters)
    }

    /// Makes colony, user, executor and function of this worker, where they are not there yet.
    pub(super) fn introduce(&mut self) -> Result<(), BenchError> {
        let number = self.number.to_string();
        for sql in [
            "INSERT INTO p_colonies VALUES ('dev', 'c1') ON CONFLICT DO NOTHING",
            "INSERT INTO p_users VALUES ('dev:ann$n', 'u$n', 'dev', 'ann@example.org', '')",
            "INSERT INTO p_executors VALUES ('$name', 'cli', '$id', 'dev', 1, false, now(), now(), 0, 0, '[]', '[]', '{}', '', 0, '')",
            "INSERT INTO p_functions VALUES ('f$n', '$name', 'cli', 'dev', 'echo', 0, 0, 0, 0, 0, 0, 0, '')",
        ] {
            // The longest first: `$n` begins `$name`.
            let sql = sql.replace("$name", &self.name);
            let sql = sql.replace("$id", &self.id).replace("$n", &number);
            self.client.query(&sql)?;
        }
        Ok(())
    }

    fn membership(&mut self) -> Result<(), BenchError> {
        self.ask(COLONY_BY_NAME, &[COLONY])?;
        let id = self.id.clone();
        self.ask(EXECUTOR_BY_ID, &[&id])?;
        Ok(())
    }

    fn process(&mut self, process: &str) -> Result<(), BenchError> {
        self.ask(PROCESS_BY_ID, &[process])?;
        self.ask(ATTRIBUTES, &[process])?;
        Ok(())
    }

    /// 13 statements.
    pub(super) fn submit(&mut self) -> Result<(), BenchError> {
        let user = format!("u{}", self.number);
        // Neither is known to be an executor's: then it is a user's.
        self.ask(COLONY_BY_NAME, &[COLONY])?;
        self.ask(EXECUTOR_BY_ID, &[&user])?;
        self.ask(COLONY_BY_NAME, &[COLONY])?;
        for _ in 0..3 {
            self.ask(USER_BY_ID, &[COLONY, &user])?;
            self.ask(EXECUTOR_BY_ID, &[&user])?;
        }
        let process = format!("{:032x}", self.random.random::<u128>());
        let priority_time = self
            .random
            .random_range(0..1_000_000_000_000_u64)
            .to_string();
        let parameters = added(&process, &priority_time, &user);
        self.ask(ADD_PROCESS, &parameters)?;
        let attribute = format!("{:032x}", self.random.random::<u128>());
        let parameters = [
            &attribute,
            "HOME",
            "/home/ann",
            "3",
            &process,
            COLONY,
            "",
            TIME,
            "0",
        ];
        self.ask(ADD_ATTRIBUTE, &parameters)?;
        self.process(&process)
    }

    /// 8 statements; the process that it is now.
    pub(super) fn assign(&mut self) -> Result<Option<String>, BenchError> {
        self.membership()?;
        let (id, name) = (self.id.clone(), self.name.clone());
        self.ask(EXECUTOR_BY_ID, &[&id])?;
        self.ask(MARK_ALIVE, &[TIME, &name])?;
        let process = self.take(EXECUTOR_TYPE)?;
        if let Some(process) = &process {
            self.ask(ATTRIBUTES, &[process])?;
            self.process(process)?;
        }
        Ok(process)
    }

    /// The assignment alone, for an executor of this type.
    pub(super) fn take(&mut self, executor_type: &str) -> Result<Option<String>, BenchError> {
        let (id, name) = (self.id.clone(), self.name.clone());
        let max = i64::MAX.to_string();
        let parameters = [
            &name,
            executor_type,
            "0",
            COLONY,
            &max,
            &max,
            &max,
            "127",
            "127",
            "127",
            "lulea",
            &id,
            "1",
        ];
        self.ask(ASSIGN, &parameters)
    }

    /// A line of the log: 5 statements.
    pub(super) fn log(&mut self, process: &str) -> Result<(), BenchError> {
        self.process(process)?;
        self.membership()?;
        let name = self.name.clone();
        let parameters = [
            process,
            COLONY,
            &name,
            "1732278896123456789",
            "a line of what the process says",
            TIME,
        ];
        self.ask(ADD_LOG, &parameters)?;
        Ok(())
    }

    /// 3 statements.
    pub(super) fn heart_beat(&mut self) -> Result<(), BenchError> {
        self.membership()?;
        let name = self.name.clone();
        self.ask(MARK_ALIVE, &[TIME, &name])?;
        Ok(())
    }

    /// 21 statements.
    pub(super) fn close(&mut self, process: &str) -> Result<(), BenchError> {
        let (id, name) = (self.id.clone(), self.name.clone());
        self.process(process)?;
        self.membership()?;
        self.process(process)?;
        self.ask(SET_OUTPUT, &["[\"done\"]", process])?;
        self.process(process)?;
        self.ask(MARK_SUCCESSFUL, &[TIME, "2", process])?;
        self.ask(SET_ATTRIBUTE_STATE, &["2", process])?;
        self.ask(EXECUTOR_BY_ID, &[&id])?;
        self.ask(FUNCTION, &[COLONY, &name, "echo"])?;
        self.process(process)?;
        let parameters = [
            "1", "0.1", "0.2", "0.3", "0.4", "0.15", "0.35", COLONY, &name, "echo",
        ];
        self.ask(SET_STATISTICS, &parameters)?;
        // Whoever waits for its end asks for it again.
        self.process(process)?;
        self.membership()?;
        self.ask(PROCESS_BY_ID, &[process])?;
        Ok(())
    }

    /// Gives a process back to those that wait.
    pub(super) fn give_back(&mut self, process: &str) -> Result<(), BenchError> {
        self.ask(GIVE_BACK, &["", "0", process])?;
        Ok(())
    }

    /// What an idle server asks, one of two at a time.
    pub(super) fn poll(&mut self, running: bool) -> Result<(), BenchError> {
        match running {
            true => self.ask(RUNNING, &["1"])?,
            false => self.ask(WAITING, &["0"])?,
        };
        Ok(())
    }
}

/// The 47 values of a process.
fn added<'p>(process: &'p str, priority_time: &'p str, user: &'p str) -> [&'p str; 47] {
    [
        process,
        COLONY,
        "{}",
        "",
        "0",
        "false",
        EXECUTOR_TYPE,
        TIME,
        ZERO_TIME,
        ZERO_TIME,
        ZERO_TIME,
        ZERO_TIME,
        "{}",
        "0",
        "",
        "echo",
        "[\"hello\"]",
        "{}",
        "-1",
        "60",
        "3",
        "{}",
        "0",
        priority_time,
        "false",
        "{}",
        "{}",
        "",
        "null",
        "null",
        "",
        "{\"mount\":\"\",\"snapshots\":null,\"dirs\":null}",
        "0",
        "0",
        "0",
        "0",
        "0",
        "0",
        "",
        "0",
        "0",
        "0",
        user,
        "ann",
        "",
        "{}",
        "",
    ]
}
