//! Identifiers: UUIDs, and the version 7 form given to documents without an id.
//!
//! Pure: time and randomness are arguments, so that whoever proposes a change resolves them and
//! whoever replays it does not. Tests: below.

pub use uuid::Uuid;

/// The version 7 UUID of a moment (milliseconds since 1970, 48 bits of them) and 74 random bits
/// (the other six of the ten bytes are taken by version and variant).
///
/// Ids of later milliseconds sort after ids of earlier ones.
pub fn uuid_v7(timestamp_ms: u64, random: [u8; 10]) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(timestamp_ms, &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_seven_layout() {
        let id = uuid_v7(0x0123_4567_89ab, [0xff; 10]);
        assert_eq!(id.to_string(), "01234567-89ab-7fff-bfff-ffffffffffff");
        assert_eq!(id.get_version_num(), 7);
        assert!(uuid_v7(1, [0xff; 10]) < uuid_v7(2, [0; 10]));
    }
}
