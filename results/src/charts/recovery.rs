//! Recovery times, one row per fault: the time from its end until every affected node completed an operation that was sent after
//! it.

use super::Scene;
use super::axis::{Scale, Tick, duration};
use super::canvas::{Area, Canvas, WIDTH};
use super::frame::{self, Mark, Plot};
use super::style::{BLUE, GREY, GRID, INK, LABEL, VERMILLION};
use crate::faults::{FaultWindow, Recovery};
use plotters::prelude::Color;
use plotters::style::text_anchor::{HPos, VPos};

/// Maximum number of readable rows. The slowest faults are drawn.
const MAX_ROWS: usize = 18;
const TOP: i32 = 118;
/// Height of a row.
const ROW: i32 = 52;
/// Height of the axis with its labels.
const BELOW: i32 = 66;

pub(super) fn draw(scene: Scene<'_>) -> Vec<u8> {
    let faults = slowest(&scene.measured.faults);
    let of = if faults.len() < scene.measured.faults.len() {
        format!(" (the {} slowest of {})", faults.len(), scene.measured.faults.len())
    } else {
        String::new()
    };
    let mut canvas = Canvas::sized(WIDTH, (TOP + faults.len().max(1) as i32 * ROW + BELOW) as u32);
    let area = canvas.area();
    frame::title(&area, scene.caption, &format!("from the lift of a fault until every struck node answered a new op{of}"));
    let longest = faults.iter().filter_map(|f| ms(f)).fold(1.0, f64::max);
    // The scale begins at zero, since lengths are compared, and leaves room for the figure at the end of the longest bar.
    let scale = Scale::from_zero(longest * 1.15);
    let labels = frame::text_style(LABEL, INK, HPos::Right, VPos::Center);
    let widest = faults.iter().map(|f| frame::width(&area, &label(f), &labels)).max().unwrap_or(0);
    let bottom = TOP + faults.len().max(1) as i32 * ROW;
    let plot = Plot { left: widest + 44, right: WIDTH as i32 - 56, top: TOP, bottom, x: scale, y: Scale::from_zero(1.0) };
    if faults.is_empty() {
        let style = frame::text_style(LABEL + 4, GREY, HPos::Center, VPos::Center);
        frame::text(&area, (WIDTH as i32 / 2, TOP + ROW / 2), "no faults in this run", &style);
    } else {
        axis(&area, &plot);
        rows(&area, &plot, &faults);
        frame::legend(&area, &[(Mark::Fill, BLUE, "answers again after".into()), (Mark::Fill, VERMILLION, "did not answer again".into())]);
    }
    drop(area);
    canvas.png()
}

fn ms(fault: &FaultWindow) -> Option<f64> {
    match fault.recovery {
        Recovery::After(t) => Some(t.as_ms_f64().max(0.001)),
        Recovery::Never | Recovery::NotSeen => None,
    }
}

fn slowest(faults: &[FaultWindow]) -> Vec<&FaultWindow> {
    let mut kept: Vec<&FaultWindow> = faults.iter().collect();
    // Faults without recovery come first: they are the slowest of all.
    kept.sort_by(|a, b| ms(b).unwrap_or(f64::MAX).total_cmp(&ms(a).unwrap_or(f64::MAX)));
    kept.truncate(MAX_ROWS);
    kept.sort_by_key(|f| (f.began, f.id));
    kept
}

fn label(fault: &FaultWindow) -> String {
    let lasted =
        fault.lifted.or(fault.healed).map_or("to the end".to_owned(), |t| format!("for {}", duration(t.since(fault.began).as_ms_f64())));
    let at = duration(fault.began.as_ms_f64());
    format!("{}  at {at} {lasted}", crate::terminal::shorten(&fault.label(), 30))
}

fn axis(area: &Area<'_>, plot: &Plot) {
    let style = frame::text_style(LABEL, INK, HPos::Center, VPos::Top);
    for tick in plot.x.ticks(8) {
        if let Tick::Major(v) = tick {
            let x = plot.column(v);
            frame::line(area, vec![(x, plot.top), (x, plot.bottom)], GRID);
            frame::text(area, (x, plot.bottom + 8), &if v == 0.0 { "0".into() } else { duration(v) }, &style);
        }
    }
    frame::line(area, vec![(plot.left, plot.top), (plot.left, plot.bottom), (plot.right, plot.bottom)], GREY);
    let style = frame::text_style(super::style::SMALL, GREY, HPos::Right, VPos::Top);
    frame::text(area, (plot.right, plot.bottom + 34), "time asked until it answered again", &style);
}

fn rows(area: &Area<'_>, plot: &Plot, faults: &[&FaultWindow]) {
    let (height, thick) = (ROW, ROW * 3 / 5);
    let label_style = frame::text_style(LABEL, INK, HPos::Right, VPos::Center);
    let value_style = frame::text_style(LABEL, INK, HPos::Left, VPos::Center);
    for (i, fault) in faults.iter().enumerate() {
        let middle = plot.top + i as i32 * height + height / 2;
        let corners = |to: i32| [(plot.left, middle - thick / 2), (to, middle + thick / 2)];
        frame::text(area, (plot.left - 12, middle), &label(fault), &label_style);
        let (end, words) = match (fault.recovery, ms(fault)) {
            (Recovery::After(_), Some(ms)) => {
                let to = plot.column(ms).max(plot.left + 3);
                frame::rectangle(area, corners(to), BLUE.filled());
                (to, duration(ms))
            }
            (Recovery::Never, _) => {
                let to = plot.column(f64::MAX) - 330;
                frame::rectangle(area, corners(to), VERMILLION.filled());
                (to, "a struck node never answered again".to_owned())
            }
            (Recovery::NotSeen | Recovery::After(_), _) => (plot.left, "not seen: not lifted, or no op came after it".to_owned()),
        };
        frame::text(area, (end + 10, middle), &words, &value_style);
    }
}
