//! The load window of a history.

use heckle_history::{History, Nanos};

/// Returns the load window: as stated in the header, but no longer than the history itself (a run may be stopped
/// early); without a header entry, from the first invoke to the last.
pub(crate) fn window(history: &History) -> (Nanos, Nanos) {
    let invoked = || history.ops.iter().map(|o| o.invoked);
    match history.header.load_window {
        Some((from, to)) => (Nanos(from), Nanos(to.min(history.end.0).max(from))),
        None => (invoked().min().unwrap_or_default(), invoked().max().unwrap_or_default()),
    }
}
