//! The token that allows a program to change a node through its control port. The node writes it to its data folder,
//! in a file readable only by the node's own user: anyone able to read that file could harm the node in other ways.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::secret::{hex, is_equal, random};

/// Name of the file in the data folder.
pub const TOKEN_FILE: &str = "control.token";
/// Number of random bytes in a token.
const TOKEN_BYTES: usize = 16;

/// The token of a node. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ControlToken(String);

impl fmt::Debug for ControlToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ControlToken(..)")
    }
}

impl ControlToken {
    /// Reads the token of the node with this data folder.
    ///
    /// # Errors
    /// Fails if there is none, or this user may not read it.
    pub fn read(data_dir: &Path) -> io::Result<ControlToken> {
        let mut text = String::new();
        let file = std::fs::File::open(data_dir.join(TOKEN_FILE))?;
        file.take(2 * TOKEN_BYTES as u64 + 1).read_to_string(&mut text)?;
        let token = text.trim_end();
        if token.len() == 2 * TOKEN_BYTES && token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(ControlToken(token.to_owned()))
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, format!("{TOKEN_FILE} holds no token")))
        }
    }

    /// Returns the token of an earlier process of this node, or creates one and writes it to the file.
    pub(crate) fn keep_or_create(data_dir: &Path) -> io::Result<ControlToken> {
        if let Ok(known) = ControlToken::read(data_dir) {
            return Ok(known);
        }
        let token = ControlToken(hex(&random::<TOKEN_BYTES>()?));
        let path = data_dir.join(TOKEN_FILE);
        // A file with a different mode is replaced, since the mode below applies only to new files.
        let _ = std::fs::remove_file(&path);
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(format!("{}\n", token.0).as_bytes())?;
        Ok(token)
    }

    /// The token as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn is(&self, given: &str) -> bool {
        is_equal(self.0.as_bytes(), given.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_token_is_private_and_kept() {
        let dir = TempDir::new("token");
        let token = ControlToken::keep_or_create(dir.path()).unwrap();
        assert_eq!(ControlToken::keep_or_create(dir.path()).unwrap(), token);
        assert_eq!(ControlToken::read(dir.path()).unwrap(), token);
        let path = dir.path().join(TOKEN_FILE);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(token.is(token.as_str()) && !token.is("") && !token.is(&token.as_str()[1..]));
        assert_eq!(format!("{token:?}"), "ControlToken(..)");
        // A damaged or foreign file is replaced.
        std::fs::write(&path, "what is this\n").unwrap();
        assert!(ControlToken::read(dir.path()).is_err());
        let next = ControlToken::keep_or_create(dir.path()).unwrap();
        assert_ne!(next, token);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
