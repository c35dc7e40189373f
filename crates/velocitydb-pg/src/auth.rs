//! Who a client is: what it has to prove, and the proof.
//!
//! Until there are users, [`Trust`] lets everybody in; a door that other machines reach is refused
//! elsewhere. SCRAM-SHA-256 is pgwire's, and named in this file alone. A user who does not exist is
//! asked for a proof as others are ([`Verifier::fake`]), so that nobody learns who exists.
//!
//! Does no I/O. Tests: tests/it/startup.rs.

use pgwire::api::auth::sasl::scram::{
    ScramSecret, ScramServerAuth, ScramServerAuthWaitingForClientFinal, gen_salted_password,
};
use pgwire::error::PgWireError;
use ring::hmac;

use crate::backend::Startup;
use crate::error::PgError;
use crate::messages::Reader;

/// Decides what a client has to prove.
pub trait Authenticator: Send + Sync + 'static {
    /// What the client that says this of itself has to prove.
    fn proof(&self, startup: &Startup) -> Proof;
}

/// What a client has to prove.
#[derive(Debug)]
pub enum Proof {
    /// Nothing.
    Nothing,
    /// Nothing, but a password is asked for, and any will do: for clients that insist on being
    /// asked.
    AnyPassword,
    /// That it knows a password, by SCRAM-SHA-256.
    Scram(Verifier),
    /// Nothing would help.
    Refused(PgError),
}

/// Lets everybody in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trust;

impl Authenticator for Trust {
    fn proof(&self, _: &Startup) -> Proof {
        Proof::Nothing
    }
}

/// What is kept of a password: enough to check a proof, too little to make one.
#[derive(Clone)]
pub struct Verifier {
    salt: Vec<u8>,
    iterations: u32,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

/// As many as PostgreSQL makes of its own accord.
const ITERATIONS: u32 = 4_096;

impl Verifier {
    /// That of a password. `salt` is random, of 16 bytes or more.
    pub fn of(password: &str, salt: &[u8]) -> Verifier {
        let salted = gen_salted_password(password, salt, ITERATIONS as usize);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
        let client_key = hmac::sign(&key, b"Client Key");
        let stored_key = ring::digest::digest(&ring::digest::SHA256, client_key.as_ref());
        Verifier {
            salt: salt.to_vec(),
            iterations: ITERATIONS,
            stored_key: stored_key.as_ref().to_vec(),
            server_key: hmac::sign(&key, b"Server Key").as_ref().to_vec(),
        }
    }

    /// One that no proof fits, for a user who does not exist. The same `secret` of the server gives
    /// a name the same salt each time, as an existing user has.
    pub fn fake(secret: &[u8], user: &str) -> Verifier {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let of = |what: &str| hmac::sign(&key, format!("{what} {user}").as_bytes());
        Verifier {
            salt: of("salt").as_ref()[..16].to_vec(),
            iterations: ITERATIONS,
            stored_key: of("stored key").as_ref().to_vec(),
            server_key: of("server key").as_ref().to_vec(),
        }
    }
}

/// The name of the one mechanism.
pub(crate) const SCRAM: &str = "SCRAM-SHA-256";

/// A proof under way: the client has said who it is.
pub(crate) struct Exchange(ScramServerAuthWaitingForClientFinal);

impl Exchange {
    /// Takes the client's first message; the answer goes to the client.
    pub(crate) fn begin(verifier: Verifier, message: &[u8]) -> Result<(String, Exchange), PgError> {
        let mut message = Reader(message);
        let mechanism = message.text()?;
        if mechanism != SCRAM {
            let error = format!("{mechanism:?} is no mechanism of this server: it has {SCRAM}");
            return Err(PgError::protocol(error));
        }
        let length = usize::try_from(message.i32()?).unwrap_or(usize::MAX);
        let data = message.take(length)?;
        let secret = ScramSecret::Verifier {
            salt: verifier.salt,
            iterations: verifier.iterations as usize,
            stored_key: verifier.stored_key,
            server_key: verifier.server_key,
        };
        let begun = ScramServerAuth::new().on_client_first_message_with_secret(data, secret);
        let (answer, exchange) = begun.map_err(|error| PgError::protocol(error.to_string()))?;
        Ok((answer, Exchange(exchange)))
    }

    /// Takes the client's last message; the answer goes to the client, who is let in.
    pub(crate) fn finish(&self, user: &str, message: &[u8]) -> Result<String, PgError> {
        let finished = self.0.on_client_final_message(message);
        finished.map_err(|error| match error {
            PgWireError::InvalidPassword(_) => {
                let message = format!("password authentication failed for user \"{user}\"");
                PgError::fatal("28P01", message)
            }
            error => PgError::protocol(error.to_string()),
        })
    }
}
