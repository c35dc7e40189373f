//! Cursors: the rows of a query, which a session asks for in parts.
//!
//! The query is run when the cursor is declared, and its rows are kept, on the account of all queries, so
//! that what others change meanwhile is not seen, and any row can be gone to. A cursor belongs to the
//! transaction that declared it and ends with it; one WITH HOLD becomes the session's when that
//! is committed. The protocol's portals are cursors too, as in PostgreSQL: those of a transaction block
//! with a name and rows are here, where FETCH and MOVE find them ([`Session::keep_portal`]). Tests:
//! tests/it/slt/cursors.slt; portals: the server's tests/it/pg.rs.

use std::collections::HashMap;
use std::sync::Arc;

use velocitydb_types::Value;

use super::pace::Pace;
use super::{Answer, Runtime, Session};
use crate::error::{SqlError, sqlstate};
use crate::parse::{Declare, OfSession, Way};
use crate::statement::Native;
use crate::statement::rows::{Column, Rows};

/// How many a session may have.
const CURSORS_MAX: usize = 1_000;

/// Those of a transaction, or of a session.
#[derive(Default)]
pub(super) struct Cursors(HashMap<String, Cursor>);

struct Cursor {
    rows: Arc<Rows>,
    columns: Vec<Column>,
    /// The number of the present row; 0 before the first, one more than there are behind the last.
    at: usize,
    binary: bool,
    no_scroll: bool,
    hold: bool,
    /// Whether it is a portal of the protocol.
    portal: bool,
    /// How many savepoints there were when it was declared.
    savepoints: usize,
}

impl Cursors {
    /// The transaction is rolled back to this savepoint.
    pub(super) fn roll_back_to(&mut self, at: usize) {
        self.0.retain(|_, cursor| cursor.savepoints <= at);
    }

    /// This savepoint, and those behind it, are not there any more.
    pub(super) fn release(&mut self, at: usize) {
        for cursor in self.0.values_mut() {
            cursor.savepoints = cursor.savepoints.min(at);
        }
    }

    /// Those that stay when the transaction is committed.
    pub(super) fn held(mut self) -> Cursors {
        self.0.retain(|_, cursor| cursor.hold);
        self
    }

    pub(super) fn extend(&mut self, others: Cursors) {
        self.0.extend(others.0);
    }
}

fn missing(name: &str) -> SqlError {
    let message = format!("cursor {name:?} does not exist");
    SqlError::new(sqlstate::INVALID_CURSOR_NAME, message)
}

/// Where a cursor has gone, and the rows on its way.
#[derive(Debug, PartialEq, Eq)]
struct Gone {
    at: usize,
    first: usize,
    count: usize,
    backward: bool,
}

/// Where a cursor of `len` rows goes from `at`.
fn gone(way: Way, at: usize, len: usize) -> Gone {
    let end = len + 1;
    let none = |at| Gone {
        at,
        first: 0,
        count: 0,
        backward: false,
    };
    // To one row, or before or behind all.
    let to_row = |row: i128| match usize::try_from(row) {
        Err(_) | Ok(0) => none(0),
        Ok(row) if row > len => none(end),
        Ok(row) => Gone {
            at: row,
            first: row,
            count: 1,
            backward: false,
        },
    };
    // Another way to say the same.
    let turned = |count: i64| usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let (count, backward) = match way {
        Way::Absolute(row @ ..=-1) => return to_row(end as i128 + i128::from(row)),
        Way::Absolute(row) => return to_row(row.into()),
        Way::Relative(by) => return to_row(at as i128 + i128::from(by)),
        Way::Forward(Some(0)) | Way::Backward(Some(0)) => {
            return Gone {
                at,
                ..to_row(at as i128)
            };
        }
        Way::Forward(None) => (usize::MAX, false),
        Way::Backward(None) => (usize::MAX, true),
        Way::Forward(Some(count)) => (turned(count), count < 0),
        Way::Backward(Some(count)) => (turned(count), count > 0),
    };
    match backward {
        false => {
            let to = at.saturating_add(count).min(end);
            Gone {
                at: to,
                first: at + 1,
                count: to.min(len).saturating_sub(at),
                backward,
            }
        }
        true => {
            let to = at.saturating_sub(count);
            Gone {
                at: to,
                first: at.saturating_sub(1),
                count: at.saturating_sub(to.max(1)),
                backward,
            }
        }
    }
}

impl Session {
    fn cursor(&mut self, name: &str) -> Result<&mut Cursor, SqlError> {
        let block = self.block.as_mut();
        let declared = block.and_then(|block| block.cursors.0.get_mut(name));
        match declared {
            Some(cursor) => Ok(cursor),
            None => self.held.0.get_mut(name).ok_or_else(|| missing(name)),
        }
    }

    /// The cursor that a statement fetches from, when it does.
    fn fetched_from(&self, statement: &OfSession) -> Result<Option<&Cursor>, SqlError> {
        let OfSession::Fetch {
            cursor,
            moves: false,
            ..
        } = statement
        else {
            return Ok(None);
        };
        let block = self.block.as_ref();
        let declared = block.and_then(|block| block.cursors.0.get(cursor));
        let found = declared.or_else(|| self.held.0.get(cursor));
        found.map(Some).ok_or_else(|| missing(cursor))
    }

    /// The columns that a statement fetches.
    ///
    /// # Errors
    /// There is no such cursor.
    pub(super) fn fetched(&self, statement: &OfSession) -> Result<&[Column], SqlError> {
        let cursor = self.fetched_from(statement)?;
        Ok(cursor.map_or(&[], |cursor| &cursor.columns))
    }

    /// Whether a statement fetches from a BINARY cursor.
    pub(super) fn fetches_binary(&self, statement: &OfSession) -> bool {
        let cursor = self.fetched_from(statement).ok().flatten();
        cursor.is_some_and(|cursor| cursor.binary)
    }

    /// The columns of a cursor, and whether it is a BINARY one; `None`: there is none of this name.
    pub fn cursor_columns(&self, name: &str) -> Option<(&[Column], bool)> {
        let block = self.block.as_ref();
        let declared = block.and_then(|block| block.cursors.0.get(name));
        let found = declared.or_else(|| self.held.0.get(name))?;
        Some((&found.columns, found.binary))
    }

    /// Keeps the rows of a portal as those of a cursor, to the end of the transaction block. They are
    /// handed back where it has no name, there is no block, or a cursor has the name.
    pub fn keep_portal(&mut self, name: &str, rows: Rows, columns: &[Column]) -> Option<Rows> {
        let is_taken = name.is_empty() || self.cursor(name).is_ok();
        let held = self.held.0.len();
        match &mut self.block {
            Some(block)
                if !block.implicit && !is_taken && held + block.cursors.0.len() < CURSORS_MAX =>
            {
                let cursor = Cursor {
                    rows: Arc::new(rows),
                    columns: columns.to_vec(),
                    at: 0,
                    binary: false,
                    no_scroll: true,
                    hold: false,
                    portal: true,
                    savepoints: block.savepoints.len(),
                };
                block.cursors.0.insert(name.to_owned(), cursor);
                None
            }
            _ => Some(rows),
        }
    }

    /// The next rows of a portal that was kept, so many at most.
    ///
    /// # Errors
    /// It is not there any more.
    pub fn portal_rows(&mut self, name: &str, count_max: usize) -> Result<Rows, SqlError> {
        let cursor = self.cursor(name)?;
        let count = i64::try_from(count_max).unwrap_or(i64::MAX);
        let gone = gone(Way::Forward(Some(count)), cursor.at, cursor.rows.len());
        cursor.at = gone.at;
        let rows = Rows::part(
            &cursor.rows,
            gone.first.saturating_sub(1),
            gone.count,
            false,
        );
        if gone.at > cursor.rows.len() {
            // It never goes back: their memory is given back.
            (cursor.rows, cursor.at) = (Arc::new(Rows::values(Vec::new())), 1);
        }
        Ok(rows)
    }

    /// Forgets a cursor, if there is one of this name: the protocol closes it.
    pub fn close_cursor(&mut self, name: &str) {
        let _ = self.close(Some(name));
    }

    /// Forgets what [`Session::keep_portal`] has kept.
    pub fn forget_portals(&mut self) {
        if let Some(block) = &mut self.block {
            block.cursors.0.retain(|_, cursor| !cursor.portal);
        }
    }

    pub(super) async fn declare(
        &mut self,
        runtime: &impl Runtime,
        (declare, native): &(Declare, Native),
        parameters: &[Value],
    ) -> Result<Answer, SqlError> {
        let name = &declare.name;
        if self.cursor(name).is_ok() {
            let message = format!("cursor {name:?} already exists");
            return Err(SqlError::new(sqlstate::DUPLICATE_CURSOR, message));
        }
        let locks = matches!(native, Native::Select(select) if select.locks_rows());
        if declare.hold && locks {
            let message = "DECLARE CURSOR WITH HOLD ... FOR UPDATE";
            return Err(SqlError::unsupported(message));
        }
        let declared = self.block().map_or(0, |block| block.cursors.0.len());
        if declared + self.held.0.len() >= CURSORS_MAX {
            let message = format!("a session has {CURSORS_MAX} cursors at most; close some");
            return Err(SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message));
        }
        if self.block.is_none() && !declare.hold {
            let message = "DECLARE CURSOR can only be used in transaction blocks";
            return Err(SqlError::new(sqlstate::NO_ACTIVE_SQL_TRANSACTION, message));
        }
        let answer = self
            .documents(runtime, native, &Pace::default(), parameters)
            .await?;
        let count = usize::try_from(answer.count.unwrap_or(0)).unwrap_or(usize::MAX);
        let rows = answer.rows;
        let rows = rows.unwrap_or_else(|| Rows::values(vec![Vec::new(); count]));
        let block = self.block.as_mut();
        let cursor = Cursor {
            rows: Arc::new(rows),
            columns: native.columns().to_vec(),
            at: 0,
            binary: declare.binary,
            no_scroll: declare.no_scroll,
            hold: declare.hold,
            portal: false,
            savepoints: block.as_ref().map_or(0, |block| block.savepoints.len()),
        };
        let cursors = match block {
            Some(block) => &mut block.cursors,
            None => &mut self.held,
        };
        cursors.0.insert(name.clone(), cursor);
        Ok(Answer {
            notices: answer.notices,
            ..Answer::done("DECLARE CURSOR")
        })
    }

    pub(super) fn fetch(
        &mut self,
        name: &str,
        way: Way,
        moves: bool,
        columns: &[Column],
    ) -> Result<Answer, SqlError> {
        let cursor = self.cursor(name)?;
        if !moves && cursor.columns != columns {
            let message = format!("cursor {name:?} has other columns since FETCH was prepared");
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
        }
        let gone = gone(way, cursor.at, cursor.rows.len());
        if cursor.no_scroll && (gone.backward || gone.at < cursor.at) {
            let state = sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE;
            return Err(SqlError::new(state, "cursor can only scan forward")
                .hint("Declare it without NO SCROLL to enable backward scan."));
        }
        cursor.at = gone.at;
        let rows = || {
            let first = gone.first.saturating_sub(1); // those of an answer are numbered from 0
            Rows::part(&cursor.rows, first, gone.count, gone.backward)
        };
        Ok(Answer {
            count: Some(gone.count as u64),
            rows: (!moves && !columns.is_empty()).then(rows),
            ..Answer::done(if moves { "MOVE" } else { "FETCH" })
        })
    }

    /// Closes a cursor, or all.
    pub(super) fn close(&mut self, name: Option<&str>) -> Result<Answer, SqlError> {
        let mut declared = self.block.as_mut().map(|block| &mut block.cursors.0);
        let Some(name) = name else {
            if let Some(declared) = declared {
                declared.clear();
            }
            self.held.0.clear();
            return Ok(Answer::done("CLOSE CURSOR ALL"));
        };
        let closed = declared.as_mut().and_then(|cursors| cursors.remove(name));
        match closed.or_else(|| self.held.0.remove(name)) {
            Some(_) => Ok(Answer::done("CLOSE CURSOR")),
            None => Err(missing(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From each place by each way: the rows that a list of them would have, and the place.
    #[test]
    fn a_cursor_goes_as_one_who_counts_rows_one_by_one() {
        for len in 0..4_usize {
            let end = len + 1;
            for at in 0..=end {
                for by in -6..=6_i64 {
                    // One by one, answering the rows that are met.
                    let (mut to, mut met) = (at as i64, Vec::new());
                    for _ in 0..by.abs() {
                        to = (to + by.signum()).clamp(0, end as i64);
                        if (1..=len as i64).contains(&to) {
                            met.push(to as usize);
                        }
                    }
                    met.dedup(); // at an end it stays
                    if by == 0 && (1..=len).contains(&at) {
                        met.push(at);
                    }
                    for way in [Way::Forward(Some(by)), Way::Backward(Some(-by))] {
                        let gone = gone(way, at, len);
                        let rows: Vec<_> = (0..gone.count)
                            .map(|nth| match gone.backward {
                                false => gone.first + nth,
                                true => gone.first - nth,
                            })
                            .collect();
                        assert_eq!((gone.at, &rows), (to as usize, &met), "{way:?} {at}/{len}");
                    }
                    let row = at as i64 + by;
                    let one = gone(Way::Relative(by), at, len);
                    let is_row = (1..=len as i64).contains(&row);
                    assert_eq!(one.count, usize::from(is_row), "relative {by} {at}/{len}");
                    assert_eq!(one.at as i64, row.clamp(0, end as i64));
                    assert_eq!(gone(Way::Absolute(row.max(0)), at, len), one);
                }
                assert_eq!(gone(Way::Forward(None), at, len).at, end);
                assert_eq!(gone(Way::Backward(None), at, len).at, 0);
            }
            assert_eq!(gone(Way::Absolute(-1), 0, len).at, len);
        }
    }
}
