//! Waiting times of intents over all runs that count: the Kaplan-Meier estimate of the share finished within a time. The vertical
//! axis counts nines, so that the one intent in a thousand that starves takes up as much space as the nine in ten that do not. If
//! a curve ends below the top, some intents of that arm never finished.

use super::{caption, colour};
use crate::charts::axis::{Scale, Tick, count, duration};
use crate::charts::canvas::{Area, Canvas, HEIGHT, WIDTH};
use crate::charts::frame::{self, Mark, text_style};
use crate::charts::style::{FAINT, GREY, GRID, INK, LABEL, SMALL};
use crate::compare::compare_json::Comparison;
use plotters::element::Circle;
use plotters::prelude::Color;
use plotters::style::text_anchor::{HPos, VPos};

const LEFT: i32 = 92;
const RIGHT: i32 = WIDTH as i32 - 28;
const TOP: i32 = 128;
const BOTTOM: i32 = HEIGHT as i32 - 62;
/// Shares with a label on the axis.
const LABELLED_SHARES: [f64; 7] = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999];

pub(super) fn draw(comparison: &Comparison) -> Vec<u8> {
    let mut canvas = Canvas::new();
    let area = canvas.area();
    frame::title(&area, &caption(comparison), "share of intents finished by a time since they were due, over all runs that count");
    let legend: Vec<_> = comparison
        .arms
        .iter()
        .enumerate()
        .map(|(i, a)| {
            let unfinished = if a.unfinished > 0 { format!(", {} never finished", count(a.unfinished)) } else { String::new() };
            (Mark::Line, colour(i), format!("{}: {} intents{unfinished}", a.name, count(a.intents)))
        })
        .collect();
    frame::legend(&area, &legend);
    let points = || comparison.arms.iter().flat_map(|a| &a.finished_by);
    if points().next().is_none() {
        let style = text_style(LABEL + 4, GREY, HPos::Center, VPos::Center);
        frame::text(&area, (WIDTH as i32 / 2, HEIGHT as i32 / 2), "no run counts", &style);
    } else {
        let (min, max) = points().fold((f64::MAX, 0f64), |(min, max), p| (min.min(p[0]), max.max(p[0])));
        let x = Scale::logarithmic(min.max(0.01), max);
        let top = points().filter(|p| p[1] < 1.0).map(|p| nines(p[1])).fold(1.0, f64::max);
        let column = |ms: f64| LEFT + (x.place(ms) * f64::from(RIGHT - LEFT)).round() as i32;
        let row = |share: f64| BOTTOM - ((nines(share) / (top * 1.06)).min(1.0) * f64::from(BOTTOM - TOP)).round() as i32;
        axes(&area, x, &column, &row, top);
        for (i, arm) in comparison.arms.iter().enumerate() {
            let mut line: Vec<(i32, i32)> = vec![];
            for [ms, share] in &arm.finished_by {
                // A step function: no intent finishes between two points.
                let below = line.last().map_or(BOTTOM, |p| p.1);
                line.extend([(column(*ms), below), (column(*ms), row(*share))]);
            }
            let end = line.last().copied();
            frame::line(&area, line, colour(i).stroke_width(3));
            if let (Some(end), true) = (end, arm.unfinished > 0) {
                area.draw(&Circle::new(end, 6, colour(i).filled())).expect("drawing into memory does not fail");
            }
        }
    }
    drop(area);
    canvas.png()
}

/// Returns the number of nines of a share: 0.9 is 1, 0.99 is 2.
fn nines(share: f64) -> f64 {
    -(1.0 - share).max(1e-9).log10()
}

fn axes(area: &Area<'_>, x: Scale, column: &impl Fn(f64) -> i32, row: &impl Fn(f64) -> i32, top: f64) {
    let (right, centre) = (text_style(LABEL, INK, HPos::Right, VPos::Center), text_style(LABEL, INK, HPos::Center, VPos::Top));
    for share in LABELLED_SHARES.into_iter().filter(|s| nines(*s) <= top * 1.06) {
        frame::line(area, vec![(LEFT, row(share)), (RIGHT, row(share))], GRID);
        let percent = format!("{:.3}", share * 100.0);
        frame::text(area, (LEFT - 10, row(share)), &format!("{} %", percent.trim_end_matches('0').trim_end_matches('.')), &right);
    }
    for tick in x.ticks(8) {
        let (v, major) = match tick {
            Tick::Major(v) => (v, true),
            Tick::Minor(v) => (v, false),
        };
        frame::line(area, vec![(column(v), TOP), (column(v), BOTTOM)], if major { GRID } else { FAINT });
        if major {
            frame::text(area, (column(v), BOTTOM + 8), &duration(v), &centre);
        }
    }
    frame::line(area, vec![(LEFT, TOP), (LEFT, BOTTOM), (RIGHT, BOTTOM)], GREY);
    frame::text(
        area,
        (LEFT, TOP - 6),
        "finished, in nines: at each line a tenth as many still wait",
        &text_style(SMALL, GREY, HPos::Left, VPos::Bottom),
    );
    frame::text(area, (RIGHT, BOTTOM + 36), "wait (log)", &text_style(SMALL, GREY, HPos::Right, VPos::Top));
}
