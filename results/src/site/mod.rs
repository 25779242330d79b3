//! The pages of `heckle serve`, as functions of the contents of the folder of all runs. They load only a style sheet and a
//! script from the same server. Modules in reading order:

pub mod query; // filters as query parameters
mod frame; // the parts common to all pages
mod live_page; // a run in progress
mod index_page; // the list of runs, suites, comparisons and sweeps
mod folder_page; // one folder: a run with its pictures, or any other folder

pub use folder_page::{FolderView, Item, folder};
pub use frame::{ASSETS, Asset, POLICY_OF_FILES, POLICY_OF_PAGES, message, url};
pub use index_page::{IndexView, index};
pub use live_page::{LiveView, live, live_address};

#[cfg(test)]
mod tests;
