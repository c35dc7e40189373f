//! Tests of the engine as a whole: `formats` holds the bytes of entries, `conditions` says what each
//! condition of an operation asks for, `replay` that the same entries give the same state,
//! `transactions` what one may keep, `definitions` what one has prepared for its commit. Files,
//! threads and the public API are tested by the embedded library.

mod alter;
mod conditions;
mod definitions;
mod formats;
mod replay;
mod transactions;
