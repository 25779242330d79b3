//! The commit that this program is built from. `build.rs` finds it out.

use heckle_results::results_json::BuildInfo;

/// The commit that this program is built from, and whether its sources had changes on top.
pub fn build_info() -> BuildInfo {
    BuildInfo { git: env!("HECKLE_GIT").into(), dirty: env!("HECKLE_GIT_DIRTY") == "true" }
}
