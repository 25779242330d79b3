//! Named steps between which files change, so that a test can end the process, as it were, at each of them.
//!
//! A node pays nothing for them: outside of tests a step is empty.

#[cfg(not(test))]
use crate::storage::StorageError;

/// Nothing, except in a test that stops here.
#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "in a test it fails")]
#[inline]
pub(crate) fn step(_name: &'static str) -> Result<(), StorageError> {
    Ok(())
}

#[cfg(test)]
pub(crate) use in_tests::{step, stop_after};

#[cfg(test)]
mod in_tests {
    use std::cell::Cell;

    use crate::storage::StorageError;

    thread_local! {
        /// Steps that this thread may yet take; absent: all.
        static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
    }

    /// Lets this thread take `steps` more steps; the one after them fails. `None` lifts it.
    pub(crate) fn stop_after(steps: Option<u32>) {
        LEFT.set(steps);
    }

    pub(crate) fn step(name: &'static str) -> Result<(), StorageError> {
        match LEFT.get() {
            None => Ok(()),
            Some(0) => Err(StorageError::Crash { name }),
            Some(left) => {
                LEFT.set(Some(left - 1));
                Ok(())
            }
        }
    }
}
