//! Messages to whoever listens, outside of all collections: NOTIFY and LISTEN.
//!
//! ```text
//!   Notifications::send ──► channel ──► a queue for each listener ──► Listener::poll_next
//! ```
//!
//! A message goes to those who listen to its channel at that moment; it is in no log, and none is kept
//! for who comes later. Nobody who sends is ever blocked: what is in all queues is bounded, each
//! message counted once, and when it becomes too much, whoever is furthest behind loses its queue and is
//! told so ([`FellBehind`]).
//!
//! Knows no transactions: who has one takes a [`Turn`] when its commit is made, and sends in that when
//! it is told, so that messages come in the order of commits. Tests: below.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use crate::locks::OwnerId;

/// Bytes of all messages that somebody has not taken yet.
const QUEUED_BYTES_MAX: usize = 64 << 20;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Notification {
    /// Who sent it.
    pub from: OwnerId,
    /// Where to.
    pub channel: Arc<str>,
    /// What it says.
    pub payload: Arc<str>,
}

impl Notification {
    /// Bytes that it takes while it is kept.
    pub fn bytes(&self) -> usize {
        // Two counts before each text.
        size_of::<Notification>() + self.channel.len() + self.payload.len() + 4 * size_of::<usize>()
    }
}

/// Why a listener gets no more messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "too many notifications were waiting, and this listener had taken the fewest of them; listen \
     again, and look at what the notifications were about"
)]
pub struct FellBehind;

/// The channels of one database. Clones are the same.
#[derive(Clone)]
pub struct Notifications {
    inner: Arc<Inner>,
}

struct Inner {
    bytes_max: usize,
    /// Held while a turn is made, which may take long; locked before the others, which are held
    /// for moments.
    order: Mutex<()>,
    /// Locked before `state`.
    turns: Mutex<Turns>,
    state: Mutex<State>,
}

/// Those who are to send, in order.
#[derive(Default)]
struct Turns {
    /// The number of the first of them.
    first: u64,
    /// What each of them sends, when it is known already.
    waiting: VecDeque<Option<Vec<Notification>>>,
}

#[derive(Default)]
struct State {
    last: u64,
    listeners: HashMap<u64, Queue>,
    channels: HashMap<Arc<str>, HashSet<u64>>,
    /// Of all queues: each message once, each place in a queue.
    bytes: usize,
}

#[derive(Default)]
struct Queue {
    channels: HashSet<Arc<str>>,
    messages: VecDeque<Arc<Notification>>,
    waker: Option<Waker>,
    fell_behind: bool,
}

/// A place in a queue.
const PLACE_BYTES: usize = size_of::<Arc<Notification>>();

impl Notifications {
    pub(crate) fn new() -> Notifications {
        Notifications::bounded(QUEUED_BYTES_MAX)
    }

    fn bounded(bytes_max: usize) -> Notifications {
        let inner = Inner {
            bytes_max,
            order: Mutex::default(),
            turns: Mutex::default(),
            state: Mutex::default(),
        };
        Notifications {
            inner: Arc::new(inner),
        }
    }

    /// One who listens, to nothing yet.
    pub fn listener(&self) -> Listener {
        let mut state = self.inner.state.lock();
        state.last += 1;
        let id = state.last;
        state.listeners.insert(id, Queue::default());
        Listener {
            inner: Arc::clone(&self.inner),
            id,
        }
    }

    /// Sends messages, which each listener gets in this order and without others between them, behind
    /// all who have a turn.
    pub fn send(&self, messages: impl IntoIterator<Item = Notification>) {
        self.next_turn().send(messages);
    }

    /// Does what puts a sender behind others and before others, and gives it its turn. One at a time;
    /// those who only send do not wait for it.
    pub fn turn<R>(&self, order: impl FnOnce() -> R) -> (R, Turn) {
        let _one_at_a_time = self.inner.order.lock();
        (order(), self.next_turn())
    }

    fn next_turn(&self) -> Turn {
        let mut turns = self.inner.turns.lock();
        let number = turns.first + turns.waiting.len() as u64;
        turns.waiting.push_back(None);
        drop(turns);
        let all = self.clone();
        Turn { all, number }
    }

    /// Puts messages into the queues; the answer are those who are to be woken.
    fn deliver(&self, messages: Vec<Notification>) -> HashMap<u64, Waker> {
        let mut woken = HashMap::new();
        let mut state = self.inner.state.lock();
        let State {
            listeners,
            channels,
            bytes,
            ..
        } = &mut *state;
        for message in messages {
            let Some(ids) = channels.get(&message.channel) else {
                continue;
            };
            *bytes += message.bytes();
            let message = Arc::new(message);
            for id in ids {
                let Some(queue) = listeners.get_mut(id) else {
                    continue;
                };
                queue.messages.push_back(Arc::clone(&message));
                *bytes += PLACE_BYTES;
                if let Some(waker) = queue.waker.take() {
                    woken.insert(*id, waker);
                }
            }
        }
        while state.bytes > self.inner.bytes_max {
            let queues = state.listeners.iter();
            let longest = queues.max_by_key(|(_, queue)| queue.messages.len());
            let Some(id) = longest.map(|(id, _)| *id) else {
                break;
            };
            state.leave_all(id);
            let Some(queue) = state.listeners.get_mut(&id) else {
                break;
            };
            queue.fell_behind = true;
            woken.extend(queue.waker.take().map(|waker| (id, waker)));
        }
        woken
    }

    /// How full the queues are, from 0 to 1.
    pub fn usage(&self) -> f64 {
        self.inner.state.lock().bytes as f64 / self.inner.bytes_max as f64
    }
}

/// A place among those who send. Dropped, it sends nothing, and nobody waits for it any more.
#[must_use]
pub struct Turn {
    all: Notifications,
    number: u64,
}

impl Turn {
    /// Sends messages when all who come before have sent theirs, or nothing.
    pub fn send(self, messages: impl IntoIterator<Item = Notification>) {
        self.note(messages.into_iter().collect());
    }

    /// The first note of a turn holds.
    fn note(&self, messages: Vec<Notification>) {
        let mut turns = self.all.inner.turns.lock();
        let at = self.number.checked_sub(turns.first);
        let place = at.and_then(|at| turns.waiting.get_mut(usize::try_from(at).ok()?));
        if let Some(place @ None) = place {
            *place = Some(messages);
        }
        let mut ready = Vec::new();
        while let Some(Some(_)) = turns.waiting.front() {
            ready.extend(turns.waiting.pop_front().flatten().unwrap_or_default());
            turns.first += 1;
        }
        let woken = match ready.is_empty() {
            true => HashMap::new(),
            false => self.all.deliver(ready),
        };
        drop(turns);
        // Whoever is woken may do anything, even send.
        woken.into_values().for_each(Waker::wake);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.note(Vec::new());
    }
}

impl State {
    /// A message that has left a queue.
    fn taken(&mut self, message: Arc<Notification>) -> Notification {
        self.bytes -= PLACE_BYTES;
        // All other holders are queues, which are locked.
        let message = Arc::try_unwrap(message).unwrap_or_else(|shared| {
            self.bytes += shared.bytes();
            Notification::clone(&shared)
        });
        self.bytes -= message.bytes();
        message
    }

    fn leave(&mut self, id: u64, channel: &str) {
        if let Some(ids) = self.channels.get_mut(channel) {
            ids.remove(&id);
            if ids.is_empty() {
                self.channels.remove(channel);
            }
        }
    }

    /// Takes messages out of a queue.
    fn drop_messages(&mut self, id: u64, is_dropped: impl Fn(&Notification) -> bool) {
        let Some(queue) = self.listeners.get_mut(&id) else {
            return;
        };
        let messages = std::mem::take(&mut queue.messages);
        let (dropped, left): (VecDeque<_>, _) = messages.into_iter().partition(|it| is_dropped(it));
        queue.messages = left;
        for message in dropped {
            self.taken(message);
        }
    }

    fn leave_all(&mut self, id: u64) {
        self.drop_messages(id, |_| true);
        let queue = self.listeners.get_mut(&id);
        let channels = queue.map(|queue| std::mem::take(&mut queue.channels));
        for channel in channels.into_iter().flatten() {
            self.leave(id, &channel);
        }
    }
}

/// One who listens. Dropped, it gets no more messages.
pub struct Listener {
    inner: Arc<Inner>,
    id: u64,
}

impl Listener {
    /// From now on it gets what is sent to this channel.
    pub fn listen(&self, channel: &str) {
        let mut state = self.inner.state.lock();
        let channel: Arc<str> = channel.into();
        if let Some(queue) = state.listeners.get_mut(&self.id)
            && !queue.fell_behind
            && queue.channels.insert(Arc::clone(&channel))
        {
            state.channels.entry(channel).or_default().insert(self.id);
        }
    }

    /// It gets nothing more of this channel, not even what it has not taken yet.
    pub fn unlisten(&self, channel: &str) {
        let mut state = self.inner.state.lock();
        let queue = state.listeners.get_mut(&self.id);
        if queue.is_some_and(|queue| queue.channels.remove(channel)) {
            state.leave(self.id, channel);
            state.drop_messages(self.id, |message| &*message.channel == channel);
        }
    }

    /// The same of all channels.
    pub fn unlisten_all(&self) {
        self.inner.state.lock().leave_all(self.id);
    }

    /// How many channels it listens to.
    pub fn channels(&self) -> usize {
        let state = self.inner.state.lock();
        let queue = state.listeners.get(&self.id);
        queue.map_or(0, |queue| queue.channels.len())
    }

    /// The next message; when there is none, the waker is woken by the next. One alone may wait.
    ///
    /// # Errors
    /// It fell behind: there will be none any more.
    pub fn poll_next(&self, context: &mut Context<'_>) -> Poll<Result<Notification, FellBehind>> {
        // Dropped only when the state is unlocked: it may do anything.
        let _old_waker;
        let mut state = self.inner.state.lock();
        let Some(queue) = state.listeners.get_mut(&self.id) else {
            return Poll::Pending;
        };
        if let Some(message) = queue.messages.pop_front() {
            return Poll::Ready(Ok(state.taken(message)));
        }
        if queue.fell_behind {
            return Poll::Ready(Err(FellBehind));
        }
        _old_waker = queue.waker.replace(context.waker().clone());
        drop(state);
        Poll::Pending
    }

    /// Waits for the next message.
    ///
    /// # Errors
    /// As [`Listener::poll_next`].
    pub async fn next(&mut self) -> Result<Notification, FellBehind> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut state = self.inner.state.lock();
        state.leave_all(self.id);
        let queue = state.listeners.remove(&self.id);
        drop(state);
        drop(queue); // its waker may do anything
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Listener({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[test]
    fn nobody_who_sends_waits_for_a_turn_that_is_being_made() {
        let all = Notifications::new();
        let listener = all.listener();
        listener.listen("a");
        let ((), first) = all.turn(|| ());
        let ((), second) = all.turn(|| {
            first.send([message("a", "1")]);
            all.send([message("a", "2")]);
        });
        second.send([message("a", "3")]);
        assert_eq!(taken(&listener), texts(&["a 1", "a 2", "a 3"]));
    }

    #[test]
    fn whoever_is_woken_may_send() {
        struct Sends(Notifications);
        impl Wake for Sends {
            fn wake(self: Arc<Self>) {
                self.0.send([message("a", "2")]);
            }
        }
        let all = Notifications::new();
        let listener = all.listener();
        listener.listen("a");
        let waker = Arc::new(Sends(all.clone())).into();
        assert!(
            listener
                .poll_next(&mut Context::from_waker(&waker))
                .is_pending()
        );
        all.send([message("a", "1")]);
        assert_eq!(taken(&listener), texts(&["a 1", "a 2"]));
    }

    #[test]
    fn messages_come_in_the_order_of_turns() {
        let all = Notifications::new();
        let listener = all.listener();
        listener.listen("a");
        let ((), first) = all.turn(|| ());
        let ((), second) = all.turn(|| ());
        let ((), third) = all.turn(|| ());
        third.send([message("a", "3")]);
        all.send([message("a", "4")]);
        assert_eq!(taken(&listener), []);
        drop(first);
        assert_eq!(taken(&listener), []);
        second.send([message("a", "1"), message("a", "2")]);
        let ordered = ["a 1", "a 2", "a 3", "a 4"];
        assert_eq!(taken(&listener), ordered.map(|text| Ok(text.to_owned())));
        assert_eq!(all.inner.turns.lock().waiting.len(), 0);
    }

    fn message(channel: &str, payload: &str) -> Notification {
        Notification {
            from: OwnerId(1),
            channel: channel.into(),
            payload: payload.into(),
        }
    }

    /// All that it has not taken yet.
    fn taken(listener: &Listener) -> Vec<Result<String, FellBehind>> {
        let mut taken = Vec::new();
        while let Poll::Ready(next) = listener.poll_next(&mut Context::from_waker(Waker::noop())) {
            let fell_behind = next.is_err();
            taken.push(next.map(|it| format!("{} {}", it.channel, it.payload)));
            if fell_behind {
                break;
            }
        }
        taken
    }

    fn texts(texts: &[&str]) -> Vec<Result<String, FellBehind>> {
        texts.iter().map(|text| Ok((*text).to_owned())).collect()
    }

    #[test]
    fn a_listener_gets_what_is_sent_to_its_channels_in_order() {
        let all = Notifications::new();
        let (one, other) = (all.listener(), all.listener());
        one.listen("a");
        other.listen("a");
        other.listen("b");
        all.send([message("a", "1"), message("b", "2"), message("c", "3")]);
        all.send([message("a", "4")]);
        assert_eq!(taken(&one), texts(&["a 1", "a 4"]));
        assert_eq!(taken(&other), texts(&["a 1", "b 2", "a 4"]));
        all.send([message("a", "5"), message("b", "6")]);
        other.unlisten("a");
        all.send([message("a", "7")]);
        assert_eq!(taken(&other), texts(&["b 6"]), "not even what came before");
        one.unlisten_all();
        assert!(taken(&one).is_empty());
        drop((one, other));
        let state = all.inner.state.lock();
        assert_eq!((state.bytes, state.channels.len()), (0, 0));
    }

    #[test]
    fn who_waits_is_woken() {
        struct Count(AtomicUsize);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let all = Notifications::new();
        let listener = all.listener();
        listener.listen("a");
        let woken = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        assert!(listener.poll_next(&mut context).is_pending());
        all.send([message("b", "1")]);
        assert_eq!(woken.0.load(Ordering::Relaxed), 0);
        all.send([message("a", "1"), message("a", "2")]);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn who_is_furthest_behind_is_told_so_and_the_others_lose_nothing() {
        let all = Notifications::bounded(10_000);
        let (slow, quick) = (all.listener(), all.listener());
        slow.listen("a");
        quick.listen("a");
        let payload = "x".repeat(900);
        for _ in 0..30 {
            all.send([message("a", &payload)]);
            assert_eq!(taken(&quick), texts(&[&format!("a {payload}")]));
            assert!(all.usage() <= 1.0);
        }
        assert_eq!(taken(&slow), [Err(FellBehind)]);
        slow.listen("a");
        all.send([message("a", "more")]);
        assert_eq!(taken(&slow), [Err(FellBehind)], "it stays so");
        assert_eq!(taken(&quick), texts(&["a more"]));
        assert_eq!(all.inner.state.lock().bytes, 0);
    }
}
