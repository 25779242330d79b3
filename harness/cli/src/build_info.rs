//! The commit that this program was built from, as `build.rs` recorded it.

use heckle_results::results_json::BuildInfo;

/// Returns the commit that this program was built from, and whether the working tree had uncommitted changes.
pub fn build_info() -> BuildInfo {
    BuildInfo { git: env!("HECKLE_GIT").into(), dirty: env!("HECKLE_GIT_DIRTY") == "true" }
}
