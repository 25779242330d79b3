//! The commit from which this program was built, as recorded by `build.rs`.

use heckle_results::results_json::BuildInfo;

/// Returns the commit from which this program was built, and whether the working tree had uncommitted changes.
pub fn build_info() -> BuildInfo {
    BuildInfo { git: env!("HECKLE_GIT").into(), dirty: env!("HECKLE_GIT_DIRTY") == "true" }
}
