//! The secret of this user on this machine, which identifies run folders that were written here; see
//! [`heckle_results::seal`]. It is stored in the user's state folder and not below `--out`, since results are copied
//! and published, and the secret must not be published with them. Without a home folder there is no secret, so no
//! folder counts as written here.

use heckle_results::{RunFolder, atomic, input, seal};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Number of hexadecimal digits in the secret.
const DIGITS: u64 = 64;

fn state_folder() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("heckle"))
}

fn secret() -> Option<String> {
    let text = input::text(&state_folder()?.join("machine"), DIGITS + 1).ok()?;
    Some(text.trim_end().to_owned()).filter(|s| s.len() as u64 == DIGITS)
}

/// Returns the secret, creating it if necessary.
fn secret_or_new() -> Option<String> {
    if let Some(secret) = secret() {
        return Some(secret);
    }
    let folder = state_folder()?;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).ok()?;
    let fresh: String = (0..DIGITS / 16).map(|_| format!("{:016x}", rand::random::<u64>())).collect();
    // The file is linked into place, so that if two processes start together, one wins and neither reads a partial
    // secret.
    let temp = folder.join(format!("machine.{}", std::process::id()));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temp).ok()?;
    let written = file.write_all(fresh.as_bytes()).and_then(|()| file.sync_all());
    let _ = written.and_then(|()| std::fs::hard_link(&temp, folder.join("machine")));
    let _ = std::fs::remove_file(&temp);
    secret()
}

/// Seals the plan of a run folder that is being created.
///
/// # Errors
/// If the folder cannot be written. A machine that cannot store a secret writes no seal.
pub fn seal_plan(folder: &RunFolder, plan: &str) -> std::io::Result<()> {
    seal_text(folder.root(), plan)
}

/// Seals the text of the plans of any kind of folder that is being created.
///
/// # Errors
/// Same as for [`seal_plan`].
pub fn seal_text(folder: &Path, plans: &str) -> std::io::Result<()> {
    match secret_or_new() {
        Some(secret) => atomic::replace(&folder.join(seal::FILE), seal::of(secret.as_bytes(), plans).as_bytes()),
        None => Ok(()),
    }
}

/// Whether this machine wrote the plan of a run folder.
pub fn sealed_here(folder: &Path, plan: &str) -> bool {
    let found = input::text(&folder.join(seal::FILE), 2 * DIGITS).ok();
    secret().zip(found).is_some_and(|(secret, found)| found == seal::of(secret.as_bytes(), plan))
}
