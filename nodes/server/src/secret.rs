//! The secret shared by the nodes of a cluster, and the proofs by which they authenticate each other.
//!
//! A proof is the HMAC-SHA256 (RFC 2104), keyed with the secret, of everything it vouches for: the roles, the nodes,
//! and a fresh random number from each side. So it cannot be replayed on another connection, by another node, or in the
//! other direction. The secret itself is never sent.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// Length of a secret in bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 16..=1_024;
/// Block size of SHA-256 in bytes.
const BLOCK: usize = 64;

/// Length of a proof in bytes.
pub(crate) const PROOF_BYTES: usize = 32;
/// A random number that is used once.
pub(crate) type Nonce = [u8; 16];
/// A proof.
pub(crate) type Proof = [u8; PROOF_BYTES];

/// Why a secret cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the cluster's secret: {why}")]
pub struct SecretError {
    why: String,
}

/// The secret of a cluster. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterSecret(Arc<[u8]>);

impl fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterSecret(..)")
    }
}

impl ClusterSecret {
    /// Creates a secret from these bytes.
    ///
    /// # Errors
    /// Fails if there are too few or too many bytes.
    pub fn new(bytes: &[u8]) -> Result<ClusterSecret, SecretError> {
        if SECRET_BYTES.contains(&bytes.len()) {
            Ok(ClusterSecret(bytes.into()))
        } else {
            Err(SecretError {
                why: format!("it has {} bytes, and must have {} to {}", bytes.len(), SECRET_BYTES.start(), SECRET_BYTES.end()),
            })
        }
    }

    /// Random bytes for a new secret.
    ///
    /// # Errors
    /// Fails if the kernel cannot provide them.
    pub fn random_bytes() -> std::io::Result<[u8; 32]> {
        random()
    }

    /// Reads a secret from a file that only its owner may read. Surrounding white space is ignored.
    ///
    /// # Errors
    /// Fails if the file cannot be read, if other users may read it, or if the secret's length is wrong.
    pub fn from_file(path: &Path) -> Result<ClusterSecret, SecretError> {
        use std::os::unix::fs::PermissionsExt;
        let refused = |why: String| SecretError { why: format!("{}: {why}", path.display()) };
        let failed = |cause: std::io::Error| refused(cause.to_string());
        let meta = std::fs::metadata(path).map_err(failed)?;
        if !meta.is_file() {
            return Err(refused("it is not a file".to_owned()));
        }
        let mode = meta.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(refused(format!("others may read it (mode {mode:o}): chmod 600 it")));
        }
        let mut bytes = Vec::new();
        let most = *SECRET_BYTES.end() as u64 + 2;
        std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)).map_err(failed)?;
        ClusterSecret::new(bytes.trim_ascii())
    }

    /// The proof of a role for these parts. Each part is preceded by its length, so that different lists of parts
    /// never encode alike.
    pub(crate) fn proof(&self, role: &str, parts: &[&[u8]]) -> Proof {
        let mut text = Vec::new();
        for part in std::iter::once(role.as_bytes()).chain(parts.iter().copied()) {
            text.extend_from_slice(&(part.len() as u64).to_le_bytes());
            text.extend_from_slice(part);
        }
        hmac(&self.0, &text)
    }
}

/// HMAC-SHA256.
fn hmac(key: &[u8], text: &[u8]) -> Proof {
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..PROOF_BYTES].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
}

/// Compares in constant time: the duration does not depend on where the two differ.
pub(crate) fn is_equal(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

/// Random bytes from the kernel.
///
/// # Errors
/// Fails if the kernel cannot provide them.
pub(crate) fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    // SAFETY: the pointer and the length describe a local array.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), N, 0) };
    if usize::try_from(got) == Ok(N) { Ok(bytes) } else { Err(std::io::Error::last_os_error()) }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;
    use std::os::unix::fs::PermissionsExt;

    /// Test cases 1, 2 and 6 of RFC 4231.
    #[test]
    fn hmac_is_that_of_the_rfc() {
        for (key, text, expected) in [
            (&[0x0b; 20][..], &b"Hi There"[..], "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(hex(&hmac(key, text)), expected);
        }
    }

    #[test]
    fn every_part_of_a_proof_counts() {
        let secret = ClusterSecret::new(&[7; 32]).unwrap();
        let base = secret.proof("dialer", &[b"a", b"bc"]);
        assert_eq!(base, secret.proof("dialer", &[b"a", b"bc"]));
        for other in [
            secret.proof("listener", &[b"a", b"bc"]),
            secret.proof("dialer", &[b"ab", b"c"]),
            secret.proof("dialer", &[b"a", b"bc", b""]),
            ClusterSecret::new(&[8; 32]).unwrap().proof("dialer", &[b"a", b"bc"]),
        ] {
            assert!(!is_equal(&base, &other));
        }
        assert!(is_equal(&base, &base) && !is_equal(&base, &base[1..]));
        assert_eq!(format!("{secret:?}"), "ClusterSecret(..)");
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let dir = TempDir::new("secret");
        let path = dir.path().join("secret");
        let write = |text: &str, mode: u32| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            ClusterSecret::from_file(&path).map_err(|error| error.to_string())
        };
        assert_eq!(write("0123456789abcdef\n", 0o600), Ok(ClusterSecret::new(b"0123456789abcdef").unwrap()));
        assert!(write("0123456789abcdef\n", 0o640).unwrap_err().contains("chmod 600"));
        assert!(write("short\n", 0o600).unwrap_err().contains("it has 5 bytes"));
        assert!(write(&"x".repeat(5_000), 0o600).unwrap_err().contains("and must have 16 to 1024"));
        assert!(ClusterSecret::from_file(dir.path()).unwrap_err().to_string().contains("not a file"));
        assert!(ClusterSecret::from_file(&dir.path().join("nothing")).is_err());
    }

    #[test]
    fn random_bytes_differ() {
        assert_ne!(random::<16>().unwrap(), random::<16>().unwrap());
    }
}
