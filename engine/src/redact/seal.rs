//! How a secret is known again that is kept nowhere.

use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// Rounds of PBKDF2: some tens of milliseconds, once a run.
const ROUNDS: u32 = 100_000;

/// A salted digest of a secret (PBKDF2-HMAC-SHA-256, RFC 8018): a resumed run is given the secret again, and it must be the
/// same. Whoever can read it can try secrets out, as with any list of passwords.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Random, hexadecimal.
    salt: String,
    /// Rounds.
    rounds: u32,
    /// Hexadecimal.
    digest: String,
}

impl Seal {
    /// Seals a secret. `salt` is random.
    pub fn new(secret: &str, salt: [u8; 16]) -> Self {
        let salt = hex(&salt);
        Self { digest: derived(secret, &salt, ROUNDS), rounds: ROUNDS, salt }
    }

    /// Whether this is the secret.
    pub fn fits(&self, secret: &str) -> bool {
        derived(secret, &self.salt, self.rounds) == self.digest
    }
}

fn derived(secret: &str, salt: &str, rounds: u32) -> String {
    hex(&pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(secret.as_bytes(), salt.as_bytes(), rounds))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_fits_its_secret_alone() {
        let seal = Seal::new("correct horse", [7; 16]);
        assert!(seal.fits("correct horse") && !seal.fits("correct horsf") && !seal.fits(""));
        assert_ne!(seal, Seal::new("correct horse", [8; 16]), "the salt counts");
        assert!(!serde_json::to_string(&seal).unwrap().contains("horse"));
    }

    #[test]
    fn the_digest_is_that_of_the_standard() {
        // RFC 7914, section 11: PBKDF2-HMAC-SHA-256 of "passwd", "salt", one round.
        let expected = "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc";
        assert_eq!(derived("passwd", "salt", 1), expected);
    }
}
