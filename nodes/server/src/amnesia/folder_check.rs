//! Detects, from a node's own folder, that the node has lost state.

use std::path::Path;

use super::Doubt;
use crate::storage::StorageError;
use crate::storage::folder::Identity;
use crate::storage::recovery::Recovered;

/// Compares the log with the identity. `incarnation` is that of the last process in the log.
///
/// # Errors
/// Returns an error if the log lacks something that, according to the identity, it once had.
pub(crate) fn check_folder(path: &Path, identity: &Identity, log: &Recovered, incarnation: u32) -> Result<Doubt, StorageError> {
    let last_batch = log.next_batch - 1;
    let lost = |why: String| Err(StorageError::LostLog { path: path.to_owned(), why });
    if let Some(stopped) = identity.stopped.filter(|&stopped| log.clean_end != Some(stopped) || last_batch != stopped) {
        return lost(format!(
            "this node stopped cleanly and marked that with batch {stopped}, and its log ends with batch {last_batch} without such a mark"
        ));
    }
    if last_batch == 0 && identity.doubt != Some(Doubt::New) {
        return lost("identity.json is from a node that has voted, and its log is missing".to_owned());
    }
    if let Some(last) = identity.processes.last() {
        if last.first_batch > last_batch + 1 {
            return lost(format!(
                "process {} of this node began with batch {}, and its log ends with batch {last_batch}",
                last.incarnation, last.first_batch
            ));
        }
        if last.incarnation < incarnation {
            return lost(format!(
                "the log has process {incarnation} of this node, and identity.json knows only {}: it is from an older copy",
                last.incarnation
            ));
        }
    }
    Ok(match identity.doubt {
        Some(doubt) => doubt,
        None if log.is_cut => Doubt::Cut,
        None => Doubt::None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::position::ProcessStart;
    use super::*;
    use crate::options::NodeId;
    use crate::storage::folder::FORMAT;

    /// A node in its third process, which began with batch 20. Its log ends with batch 30.
    fn sound() -> (Identity, Recovered) {
        let me = NodeId::new(1).unwrap();
        let process = |incarnation, first_batch| ProcessStart { incarnation, process: 9, first_batch };
        let mut identity = Identity::new("c", me, &[me], 7);
        identity.processes = vec![process(2, 10), process(3, 20)];
        identity.doubt = None;
        assert_eq!(identity.format, FORMAT);
        (identity, Recovered { next_batch: 31, ..Recovered::default() })
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Identity, &mut Recovered), expected: Result<Doubt, &str>) {
        let (mut identity, mut log) = sound();
        change(&mut identity, &mut log);
        match (check_folder(Path::new("data"), &identity, &log, 3), expected) {
            (Ok(doubt), Ok(expected)) => assert_eq!(doubt, expected),
            (Err(error), Err(says)) => assert!(error.to_string().contains(says) && !error.is_usage(), "{error}"),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn a_log_without_what_the_identity_knows_is_refused() {
        check(|_, _| (), Ok(Doubt::None));
        check(|_, log| log.is_cut = true, Ok(Doubt::Cut));
        check(|identity, _| identity.doubt = Some(Doubt::Cut), Ok(Doubt::Cut));
        let stopped = |identity: &mut Identity, log: &mut Recovered| (identity.stopped, log.clean_end) = (Some(30), Some(30));
        check(stopped, Ok(Doubt::None));
        check(|identity, _| identity.stopped = Some(30), Err("without such a mark"));
        check(
            |identity, log| (identity.stopped, log.clean_end) = (Some(31), Some(30)),
            Err("stopped cleanly and marked that with batch 31"),
        );
        check(|_, log| log.next_batch = 1, Err("its log is missing"));
        check(|_, log| log.next_batch = 19, Err("process 3 of this node began with batch 20, and its log ends with batch 18"));
        check(|identity, _| identity.processes.truncate(1), Err("from an older copy"));
        // The process ended before its first batch was synced.
        check(|_, log| log.next_batch = 20, Ok(Doubt::None));
        let new = |identity: &mut Identity, log: &mut Recovered| {
            (identity.doubt, log.next_batch) = (Some(Doubt::New), 1);
            identity.processes = vec![ProcessStart { incarnation: 4, process: 9, first_batch: 1 }];
        };
        check(new, Ok(Doubt::New));
    }
}
