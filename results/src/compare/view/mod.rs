//! A comparison as text, charts and page. Modules in reading order:

pub mod text; // a comparison for the terminal
pub mod charts; // charts of a comparison
pub mod page; // a comparison as an HTML page
