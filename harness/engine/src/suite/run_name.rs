//! Names of the runs of a suite.

use heckle_history::prng::Seed;
use heckle_results::run_folder::slug;

/// Returns the name of a cell's runs, which serves as the plan's name and the folder's name. A long name is
/// truncated and its hash appended: two cells that differ only in their last axis must not share a folder, their
/// previous runs or, since seeds are drawn by name, their seeds.
pub fn run_name(cell: &str) -> String {
    const MAX_LENGTH: usize = 64;
    if cell.len() <= MAX_LENGTH {
        return slug(cell);
    }
    let hash = format!("-{:08x}", Seed(0).part(cell).0 >> 32);
    slug(&cell.chars().take(MAX_LENGTH - hash.len()).collect::<String>()) + &hash
}
