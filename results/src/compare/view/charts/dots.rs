//! Every pair that counts, for the three figures that are primary in every comparison: a column per arm and a line per pair. Lines that
//! slope in the same direction show an effect, and crossing lines show noise.

use super::{caption, colour};
use crate::charts::axis::{Scale, Tick};
use crate::charts::canvas::{Area, Canvas, HEIGHT, WIDTH};
use crate::charts::frame::{self, Mark, text_style};
use crate::charts::style::{FAINT, GREY, GRID, INK, LABEL, SMALL, VERMILLION};
use crate::compare::compare_json::{Comparison, Number, Run};
use crate::compare::figures::{FIGURES, Figure, Kind, Show};
use crate::compare::phases::Phase;
use crate::terminal::shorten;
use plotters::element::Circle;
use plotters::prelude::Color;
use plotters::style::text_anchor::{HPos, VPos};

const TOP: i32 = 138;
const BOTTOM: i32 = HEIGHT as i32 - 60;
const LEFT: i32 = 24;
/// Width of the labels of a panel's vertical axis.
const LABELS: i32 = 74;

pub(super) fn draw(comparison: &Comparison) -> Vec<u8> {
    let mut canvas = Canvas::new();
    let area = canvas.area();
    let used = pairs(comparison);
    frame::title(
        &area,
        &caption(comparison),
        &format!("each line is one of {} pairs: one seed and one fault schedule, each arm on its own cluster", used.len()),
    );
    let mut legend: Vec<_> = comparison.arms.iter().enumerate().map(|(i, a)| (Mark::Dot, colour(i), a.name.clone())).collect();
    legend.push((Mark::Line, INK, "median".into()));
    legend.push((Mark::AtLeast, VERMILLION, "or longer: unfinished when the run ended".into()));
    frame::legend(&area, &legend);
    let primary: Vec<&Figure> = FIGURES.iter().filter(|f| f.kind == Kind::Primary).collect();
    let width = (WIDTH as i32 - LEFT - 28) / primary.len() as i32;
    for (i, figure) in primary.iter().enumerate() {
        panel(&area, comparison, figure, &used, (LEFT + i as i32 * width + LABELS, LEFT + (i as i32 + 1) * width - 14));
    }
    drop(area);
    canvas.png()
}

/// Returns the pairs that count in a contrast.
fn pairs(comparison: &Comparison) -> Vec<u32> {
    let mut all: Vec<u32> = comparison.contrasts.iter().flat_map(|c| c.pairs.clone()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn number(run: &Run, figure: &Figure) -> Option<Number> {
    run.figures.get(&Phase::Whole)?.get(figure.name).copied()
}

fn panel(area: &Area<'_>, comparison: &Comparison, figure: &Figure, used: &[u32], (left, right): (i32, i32)) {
    let counts = |r: &&Run| r.dropped.is_none() && used.contains(&r.pair);
    let values: Vec<f64> = comparison.runs.iter().filter(counts).filter_map(|r| number(r, figure)).map(|n| n.value).collect();
    let (min, max) = values.iter().fold((f64::MAX, 0f64), |(min, max), v| (min.min(*v), max.max(*v)));
    let y =
        if figure.show == Show::Milliseconds && max > 0.0 { Scale::logarithmic(min * 0.9, max) } else { Scale::from_zero(max.max(0.001)) };
    let row = |v: f64| BOTTOM - (y.place(v) * f64::from(BOTTOM - TOP)).round() as i32;
    let title = if matches!(y, Scale::Log { .. }) { format!("{} (log)", figure.what) } else { figure.what.to_owned() };
    frame::text(area, (left, TOP - 8), &title, &text_style(LABEL, INK, HPos::Left, VPos::Bottom));
    let labels = text_style(SMALL, INK, HPos::Right, VPos::Center);
    let decades = y.ticks(5).iter().filter(|t| matches!(t, Tick::Major(_))).count();
    for tick in y.ticks(5) {
        let (v, major) = match tick {
            Tick::Major(v) => (v, true),
            Tick::Minor(v) => (v, false),
        };
        frame::line(area, vec![(left, row(v)), (right, row(v))], if major { GRID } else { FAINT });
        // A range of less than two decades contains too few powers of ten for values to be readable.
        let leading = (v / 10f64.powf(v.log10().floor())).round();
        if major || (decades < 2 && (leading == 2.0 || leading == 5.0)) {
            frame::text(area, (left - 8, row(v)), &figure.words(v), &labels);
        }
    }
    let n = comparison.arms.len() as i32;
    let column = |arm: usize| left + (right - left) * (2 * arm as i32 + 1) / (2 * n);
    for pair in used {
        let points: Vec<(usize, Number)> = comparison
            .arms
            .iter()
            .enumerate()
            .filter_map(|(i, a)| {
                let run = comparison.runs.iter().find(|r| r.pair == *pair && r.arm == a.name && r.dropped.is_none())?;
                Some((i, number(run, figure)?))
            })
            .collect();
        frame::line(area, points.iter().map(|(i, v)| (column(*i), row(v.value))).collect(), GREY.mix(0.55));
        for (i, v) in points {
            let at = (column(i), row(v.value));
            if v.at_least {
                frame::up(area, at, 6, VERMILLION);
            } else {
                area.draw(&Circle::new(at, 5, colour(i).mix(0.8).filled())).expect("drawing into memory does not fail");
            }
        }
    }
    for (i, arm) in comparison.arms.iter().enumerate() {
        let mut of: Vec<f64> = comparison
            .runs
            .iter()
            .filter(counts)
            .filter(|r| r.arm == arm.name)
            .filter_map(|r| number(r, figure))
            .map(|n| n.value)
            .collect();
        of.sort_by(f64::total_cmp);
        if let (Some(a), Some(b)) = (of.get(of.len().saturating_sub(1) / 2), of.get(of.len() / 2)) {
            let y = row(0.5 * (a + b));
            frame::line(area, vec![(column(i) - 26, y), (column(i) + 26, y)], INK.stroke_width(3));
        }
        let style = text_style(if n > 3 { SMALL } else { LABEL }, INK, HPos::Center, VPos::Top);
        frame::text(area, (column(i), BOTTOM + 10), &frame::fit(area, &shorten(&arm.name, 16), &style, (right - left) / n - 6), &style);
    }
    frame::line(area, vec![(left, TOP), (left, BOTTOM), (right, BOTTOM)], GREY);
}
