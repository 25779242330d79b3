//! A sweep as text, picture and page. Modules in reading order:

pub mod text; // a sweep on a terminal
mod panels; // the contents of the charts: panels, lines, marks
pub(super) mod png; // the panels as one picture
mod svg; // the panels as parts of a page
pub mod page; // `sweep.html`
