//! A drawing as PNG, in the size and font of the other charts.

use super::drawing::{self, Drawing, LineStyle, Shape, Tone};
use crate::charts::canvas::{Area, Canvas};
use crate::charts::frame;
use crate::charts::style::{self, BAND, BLUE, FAULT, FONT, GREY, INK, ORANGE, PAPER, VERMILLION, VIOLATION};
use plotters::prelude::{Color, FontDesc, FontFamily, FontStyle, RGBColor, TextStyle};
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Pixels of the image per pixel of the drawing, chosen so that text is as large as in other charts.
const SCALE: f64 = 1.5;

/// Returns the contents of the PNG file.
pub(super) fn of(drawing: &Drawing) -> Vec<u8> {
    style::register_fonts();
    let mut canvas = Canvas::sized(pixels(drawing.width) as u32, pixels(drawing.height) as u32);
    let area = canvas.area();
    draw(&area, &drawing.shapes);
    drop(area);
    canvas.png()
}

fn pixels(length: f64) -> i32 {
    (length * SCALE).round() as i32
}

fn draw(area: &Area<'_>, shapes: &[Shape]) {
    let corners = |a: &drawing::Area| [(pixels(a.x), pixels(a.y)), (pixels(a.x + a.width), pixels(a.y + a.height))];
    for shape in shapes {
        match shape {
            Shape::Fill(at, tone) => frame::rectangle(area, corners(at), colour(*tone).filled()),
            Shape::Outline(at, tone) => {
                frame::rectangle(area, corners(at), colour(*tone).mix(0.25).filled());
                frame::rectangle(area, corners(at), colour(*tone).stroke_width(2));
            }
            Shape::Line(points, tone, line) => {
                let share = if *tone == Tone::Fault { 0.45 } else { 1.0 };
                let style = colour(*tone).mix(share).stroke_width(if *tone == Tone::Paper { 3 } else { 2 });
                let parts = if *line == LineStyle::Dotted { dots(points) } else { vec![points.clone()] };
                for part in parts {
                    frame::line(area, part.iter().map(|(x, y)| (pixels(*x), pixels(*y))).collect(), style);
                }
            }
            Shape::Text(text) => {
                let size = text.size * drawing::LINE * SCALE;
                let font = FontDesc::new(FontFamily::Name(FONT), size, FontStyle::Normal);
                let colour = colour(text.tone).to_backend_color();
                let style = TextStyle { font, color: colour, pos: Pos::new(HPos::Left, VPos::Top) };
                // Plotters draws the baseline half a line below the anchor.
                let at = (pixels(text.x), pixels(text.y) - (size / 2.0).round() as i32);
                frame::text(area, at, &text.words, &style);
                if text.strong {
                    frame::text(area, (at.0 + 1, at.1), &text.words, &style);
                }
            }
            Shape::Op(_, inner) => draw(area, inner),
        }
    }
}

/// Returns the dots of a dotted line, in the style sheet's pattern: 2 pixels out of every 6.
fn dots(points: &[(f64, f64)]) -> Vec<Vec<(f64, f64)>> {
    let mut dots = vec![];
    for ends in points.windows(2) {
        let [(x0, y0), (x1, y1)] = [ends[0], ends[1]];
        let length = (x1 - x0).hypot(y1 - y0);
        let at = |along: f64| (x0 + (x1 - x0) * along / length, y0 + (y1 - y0) * along / length);
        let count = (length / 6.0) as usize;
        dots.extend((0..count).map(|i| i as f64 * 6.0).map(|from| vec![at(from), at(from + 2.0)]));
    }
    dots
}

fn colour(tone: Tone) -> RGBColor {
    match tone {
        Tone::Ink => INK,
        Tone::Dim => GREY,
        Tone::Paper => PAPER,
        Tone::Answered => BLUE,
        Tone::Failed => ORANGE,
        Tone::Open => VERMILLION,
        Tone::Violation => VIOLATION,
        Tone::Band => BAND,
        Tone::Fault => FAULT,
    }
}
