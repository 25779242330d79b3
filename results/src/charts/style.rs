//! Colours, sizes and the font.
//!
//! The font is embedded (a subset of DejaVu Sans; its licence is in `assets/`), so that charts look the same on a build machine
//! without fonts.

use plotters::prelude::{FontStyle, RGBColor};
use plotters::style::register_font;
use std::sync::Once;

/// Name of the embedded font.
pub const FONT: &str = "sans-serif";
const FONT_FILE: &[u8] = include_bytes!("../../assets/DejaVuSans-subset.ttf");

/// Size of a title in pixels.
pub const TITLE: i32 = 25;
/// Size of labels in pixels.
pub const LABEL: i32 = 18;
/// Size of labels in the fault lanes.
pub const SMALL: i32 = 15;

/// Background of charts.
pub const PAPER: RGBColor = RGBColor(255, 255, 255);
/// Primary text.
pub const INK: RGBColor = RGBColor(32, 33, 36);
/// Secondary text.
pub const GREY: RGBColor = RGBColor(95, 99, 104);
/// Major grid lines.
pub const GRID: RGBColor = RGBColor(225, 227, 230);
/// Minor grid lines.
pub const FAINT: RGBColor = RGBColor(240, 241, 243);
/// Bar of a fault.
pub const FAULT: RGBColor = RGBColor(88, 92, 100);
/// Band of a fault through the plot.
pub const BAND: RGBColor = RGBColor(228, 229, 234);

// Based on the colours of Okabe and Ito, darkened until each has a contrast of three against white and colour-blind readers can
// tell it from every other one. `tests/palette.rs` measures both, and checks that the style sheet of the pages uses the same colours.
/// Ok operations that took effect.
pub const BLUE: RGBColor = RGBColor(0, 114, 178);
/// Refused CASes.
pub const SKY: RGBColor = RGBColor(58, 155, 217);
/// Failed operations.
pub const ORANGE: RGBColor = RGBColor(184, 135, 0);
/// Unknown outcomes.
pub const VERMILLION: RGBColor = RGBColor(184, 60, 0);
/// Valid results, and recovery.
pub const GREEN: RGBColor = RGBColor(0, 158, 115);
/// Violations and other bad findings about a run.
pub const VIOLATION: RGBColor = RGBColor(142, 0, 79);
/// The slow end of a scale of blues: high percentiles, full cells.
pub const NAVY: RGBColor = RGBColor(8, 40, 80);

/// Registers the embedded font, once per process.
pub fn register_fonts() {
    static READY: Once = Once::new();
    READY.call_once(|| {
        // The error carries no details. Every test that draws proves that the file is a valid font.
        if register_font(FONT, FontStyle::Normal, FONT_FILE).is_err() {
            panic!("assets/DejaVuSans-subset.ttf is a font");
        }
    });
}
