//! The time that a connection has for a request's head.
//!
//! hyper asks for a new timer for every head. That would enter the runtime's timers and leave them
//! again with every request, under a lock that all threads share; a deadline that only moves on
//! takes no lock. So a connection has one timer, and each head sets it anew.
//! Tests: tests/it/slow.rs.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

/// Of one connection, which waits for one head at a time.
#[derive(Clone)]
pub(crate) struct HeadTimer(Arc<Mutex<Pin<Box<tokio::time::Sleep>>>>);

impl HeadTimer {
    /// To be called within a tokio runtime.
    pub(crate) fn new() -> HeadTimer {
        let timer = tokio::time::sleep(Duration::ZERO);
        HeadTimer(Arc::new(Mutex::new(Box::pin(timer))))
    }

    fn with<T>(&self, act: impl FnOnce(Pin<&mut tokio::time::Sleep>) -> T) -> T {
        let mut timer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(timer.as_mut())
    }
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.with(|timer| timer.reset(deadline.into()));
        Box::pin(Waiting(self.clone()))
    }

    fn reset(&self, _: &mut Pin<Box<dyn Sleep>>, deadline: Instant) {
        self.with(|timer| timer.reset(deadline.into()));
    }
}

/// Waits for the connection's timer.
struct Waiting(HeadTimer);

impl Sleep for Waiting {}

impl Future for Waiting {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.with(|timer| timer.poll(context))
    }
}
