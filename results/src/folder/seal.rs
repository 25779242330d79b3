//! Proof that this installation wrote the plan of a run folder. A plan may name a program (`bin`), so rerunning a folder from
//! another machine could run a program chosen by its author. The secret is stored outside all run folders. A folder holds only a
//! hash of secret and plan, so an attacker cannot use one folder to forge the seal of another plan.

use sha2::{Digest, Sha256};

/// The file of a run folder that holds the seal.
pub const FILE: &str = "plan.seal";

/// Returns the seal of the text of a plan.
pub fn of(secret: &[u8], plan: &str) -> String {
    // The secret is hashed twice, as in HMAC: a plain hash of secret and text would be open to length extension.
    let inner = Sha256::new().chain_update(secret).chain_update([0]).chain_update(plan).finalize();
    let outer = Sha256::new().chain_update(secret).chain_update([1]).chain_update(inner).finalize();
    outer.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n"
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_seal_depends_on_secret_and_plan() {
        let seal = of(b"secret", "bin = \"a\"");
        assert_eq!((seal.len(), seal == of(b"secret", "bin = \"a\"")), (65, true));
        assert_ne!(seal, of(b"secret", "bin = \"b\""));
        assert_ne!(seal, of(b"other", "bin = \"a\""));
        assert_ne!(of(b"ab", "c"), of(b"a", "bc"), "the border is in the hash");
    }
}
