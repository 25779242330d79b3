//! Proof that a run folder's plan was written here. A plan may name a program (`bin`), so running a folder again that came from
//! elsewhere would run a program of its author's choice. The secret stays outside all run folders; a folder holds only a hash
//! of secret and plan, which nobody else can make for another plan, whatever other folders they have seen.

use sha2::{Digest, Sha256};

/// The file of a run folder that holds the seal.
pub const FILE: &str = "plan.seal";

/// The seal of a plan's text.
pub fn of(secret: &[u8], plan: &str) -> String {
    // The secret twice, as in HMAC: a hash of secret and text alone can be continued by who knows it.
    let inner = Sha256::new().chain_update(secret).chain_update([0]).chain_update(plan).finalize();
    let outer = Sha256::new().chain_update(secret).chain_update([1]).chain_update(inner).finalize();
    outer.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n"
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_seal_is_of_one_secret_and_one_plan() {
        let seal = of(b"secret", "bin = \"a\"");
        assert_eq!((seal.len(), seal == of(b"secret", "bin = \"a\"")), (65, true));
        assert_ne!(seal, of(b"secret", "bin = \"b\""));
        assert_ne!(seal, of(b"other", "bin = \"a\""));
        assert_ne!(of(b"ab", "c"), of(b"a", "bc"), "the border is in the hash");
    }
}
