//! What a client has named and not closed yet.

use std::collections::HashMap;

use crate::error::{SqlError, sqlstate};

/// Bytes of texts and values of all that a client has named, of each kind: what is made of them takes
/// several times as much.
const NAMED_BYTES_MAX: usize = 16 << 20;

/// What a client has named and not closed yet: so many, and so many bytes, at most. The one without a
/// name is replaced by the next, and does not count.
pub struct Named<T> {
    what: &'static str,
    count_max: usize,
    bytes: usize,
    items: HashMap<String, (usize, T)>,
}

impl<T> Named<T> {
    /// No more than `count_max`; `what` they are called.
    pub fn new(what: &'static str, count_max: usize) -> Named<T> {
        Named {
            what,
            count_max,
            bytes: 0,
            items: HashMap::new(),
        }
    }

    /// The one of this name.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.items.get(name).map(|(_, item)| item)
    }

    /// The one of this name, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        self.items.get_mut(name).map(|(_, item)| item)
    }

    /// Takes one more; `bytes` is what it was made of. The name is free, or empty.
    ///
    /// # Errors
    /// There are too many, or they take too many bytes.
    pub fn insert(&mut self, name: &str, bytes: usize, item: T) -> Result<(), SqlError> {
        let bytes = match name {
            "" => 0,
            name => bytes + name.len(),
        };
        let (what, count_max) = (self.what, self.count_max);
        let count = self.items.len() - usize::from(self.items.contains_key(""));
        let full = count >= count_max || self.bytes + bytes > NAMED_BYTES_MAX;
        if full && !name.is_empty() {
            let message = format!(
                "a session keeps {count_max} {what} at most, made of {NAMED_BYTES_MAX} bytes at most"
            );
            let hint = "Close those that are not needed any more, or use the one without a name.";
            return Err(SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message).hint(hint));
        }
        self.bytes += bytes;
        self.items.insert(name.to_owned(), (bytes, item));
        Ok(())
    }

    /// Takes one out.
    pub fn remove(&mut self, name: &str) -> Option<T> {
        let (bytes, item) = self.items.remove(name)?;
        self.bytes -= bytes;
        Some(item)
    }

    /// Takes those out that are not to be kept, by their names.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &T) -> bool) {
        self.items.retain(|name, (bytes, item)| {
            let kept = keep(name, item);
            self.bytes -= if kept { 0 } else { *bytes };
            kept
        });
    }
}
