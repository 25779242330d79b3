//! Colours, sizes and the font.
//!
//! The font is embedded (a subset of DejaVu Sans, licence beside it in `assets/`), so that a picture looks the same on
//! a build machine without fonts.

use plotters::prelude::{FontStyle, RGBColor};
use plotters::style::register_font;
use std::sync::Once;

/// The name under which the embedded font is known.
pub const FONT: &str = "sans-serif";
const FONT_FILE: &[u8] = include_bytes!("../../assets/DejaVuSans-subset.ttf");

/// Size of a title in pixels.
pub const TITLE: i32 = 25;
/// Size of labels in pixels.
pub const LABEL: i32 = 18;
/// Size of labels in the fault lanes.
pub const SMALL: i32 = 15;

/// What pictures are drawn on.
pub const PAPER: RGBColor = RGBColor(255, 255, 255);
/// Text.
pub const INK: RGBColor = RGBColor(32, 33, 36);
/// Text of the second rank.
pub const GREY: RGBColor = RGBColor(95, 99, 104);
/// Lines of the grid.
pub const GRID: RGBColor = RGBColor(225, 227, 230);
/// Lines between those.
pub const FAINT: RGBColor = RGBColor(240, 241, 243);
/// The bar of a fault.
pub const FAULT: RGBColor = RGBColor(88, 92, 100);
/// The band of a fault through the plot.
pub const BAND: RGBColor = RGBColor(228, 229, 234);

// Okabe and Ito's colours.
/// Ok and did what it asked.
pub const BLUE: RGBColor = RGBColor(0, 114, 178);
/// CAS refused.
pub const SKY: RGBColor = RGBColor(86, 180, 233);
/// Failed.
pub const ORANGE: RGBColor = RGBColor(230, 159, 0);
/// Unknown.
pub const VERMILLION: RGBColor = RGBColor(213, 94, 0);
/// Good.
pub const GREEN: RGBColor = RGBColor(0, 158, 115);

/// Registers the embedded font once in a process.
pub fn ready() {
    static READY: Once = Once::new();
    READY.call_once(|| {
        // The error carries nothing; that the file is a font is shown by every test that draws.
        if register_font(FONT, FontStyle::Normal, FONT_FILE).is_err() {
            panic!("assets/DejaVuSans-subset.ttf is a font");
        }
    });
}
