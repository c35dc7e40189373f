//! Waiting for what is visible, and following the changes: when they are noted, who is woken.

use std::sync::Arc;
use std::task::{Context, Poll};

use velocitydb_types::Timestamp;

use super::Engine;
use crate::changes::{Follower, VisibleWatch};
use crate::commit;
use crate::error::Error;

impl Engine {
    /// Returns once this log index is visible; [`Error::Invalid`] when it was not written yet.
    pub fn wait_visible(&self, index: u64) -> Result<(), Error> {
        match &self.files {
            Some(files) => {
                let visible = &self.shared.logged.visible;
                let waited = self.commits.wait(index, &files.log, visible);
                self.tell_followers(waited)
            }
            None if index <= self.visible_index() => Ok(()),
            None => Err(commit::not_written(index)),
        }
    }

    /// As [`Engine::wait_visible`], for a task: it is woken when it may be ready. When it has to wait
    /// somebody has to call [`Engine::wait_visible`] after this: syncs are for threads.
    pub fn poll_visible(&self, index: u64, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        match &self.files {
            Some(files) => {
                let visible = &self.shared.logged.visible;
                let polled = self.commits.poll(index, context, &files.log, visible);
                polled.map(|waited| self.tell_followers(waited))
            }
            None => Poll::Ready(self.wait_visible(index)),
        }
    }

    /// Those who follow shall see when nothing comes any more.
    fn tell_followers(&self, waited: Result<(), Error>) -> Result<(), Error> {
        if waited.is_err() {
            self.shared.logged.visible.bell().ring();
        }
        waited
    }

    /// Follows the changes of logged collections from now on: every snapshot that is taken after
    /// this has returned is at or behind the follower's position, so that nothing is missed
    /// between the two.
    ///
    /// # Errors
    /// As [`Engine::wait_visible`]; [`Error::Closed`].
    pub fn follow(&self) -> Result<Follower, Error> {
        let state = self.writer.lock();
        self.check_open()?;
        let last = state.logged.last_index;
        self.commits.follow(&self.shared.logged.visible);
        self.shared.history.follow(last);
        drop(state);
        let follower = Follower::new(Arc::clone(&self.shared), last);
        self.wait_visible(last)?;
        Ok(follower)
    }

    /// Waits for the visible index on behalf of many. It moves for those who wait only while
    /// somebody follows.
    pub fn watch_visible(&self) -> VisibleWatch {
        VisibleWatch::new(Arc::clone(&self.shared))
    }

    /// Ends the history when nobody has followed for long enough.
    pub(super) fn tend_history(&self, now: Timestamp) {
        let shared = &self.shared;
        if !shared.history.is_left(now) {
            return;
        }
        let state = self.writer.lock();
        let ended = shared.history.end(&shared.memory);
        if ended.is_some() {
            shared.logged.visible.bell().ignore();
        }
        drop(state);
        // Only now: it may hold many documents.
        drop(ended);
    }
}
