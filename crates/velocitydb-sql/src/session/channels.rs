//! LISTEN, UNLISTEN and NOTIFY; other statements about the session are in `cursors`.

use std::task::{Context, Poll};

use velocitydb::notifications::Notification;

use super::{Answer, Session};
use crate::error::{SqlError, sqlstate};
use crate::parse::OfSession;
use crate::statement::rows::Column;

impl Session {
    /// The next notification of a channel that it listens to; the waker is woken when there is one.
    /// While a transaction is open there is none.
    ///
    /// # Errors
    /// It has fallen behind: there will be none any more, and the session is best ended.
    pub fn poll_notification(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Notification, SqlError>> {
        match self.block {
            Some(_) => Poll::Pending,
            None => self.effects.poll_notification(context),
        }
    }

    /// Runs a statement about the session itself; `columns` are those that FETCH was prepared for.
    pub(super) fn of_session(
        &mut self,
        statement: &OfSession,
        columns: &[Column],
    ) -> Result<Answer, SqlError> {
        let commits = self.block().is_none();
        let tag = match statement {
            OfSession::Listen(channel) => {
                self.effects.listen(channel)?;
                "LISTEN"
            }
            OfSession::Unlisten(channel) => {
                self.effects.unlisten(channel.as_deref())?;
                "UNLISTEN"
            }
            OfSession::Notify { channel, payload } => {
                self.effects.notify(channel, payload)?;
                "NOTIFY"
            }
            OfSession::Fetch { cursor, way, moves } => {
                return self.fetch(cursor, *way, *moves, columns);
            }
            OfSession::Close(cursor) => return self.close(cursor.as_deref()),
            OfSession::SetConstraints => {
                let message = "SET CONSTRAINTS can only be used in transaction blocks";
                let warning = SqlError::new(sqlstate::NO_ACTIVE_SQL_TRANSACTION, message);
                return Ok(Answer {
                    notices: commits.then_some(warning).into_iter().collect(),
                    ..Answer::done("SET CONSTRAINTS")
                });
            }
            OfSession::Declare(_) | OfSession::Prepare(_) | OfSession::Execute(_) => {
                unreachable!("of other kinds, with what they are about")
            }
        };
        if commits {
            self.effects.commit(None);
        }
        Ok(Answer::done(tag))
    }
}
