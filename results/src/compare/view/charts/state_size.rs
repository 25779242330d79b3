//! Bytes of protocol state over time, with a curve per arm: the median over the pairs, in a band from the minimum to the
//! maximum. Each curve is labelled with its name, its settings and its final value relative to the reference, so no legend is needed.

use super::{caption, colour, place};
use crate::charts::axis::{Scale, Tick, bytes, digits, duration};
use crate::charts::canvas::{Area, Canvas, HEIGHT, WIDTH};
use crate::charts::frame::{self, Plot, text_style};
use crate::charts::style::{BAND, FAINT, GREY, INK, LABEL, SMALL};
use crate::compare::compare_json::{Arm, Comparison};
use crate::compare::state::{StateCurve, StateSizes};
use crate::terminal::shorten;
use plotters::element::{Circle, Polygon};
use plotters::prelude::Color;
use plotters::style::text_anchor::{HPos, VPos};

const LEFT: i32 = 92;
/// Right edge of the plot. Names are drawn to the right of it.
const RIGHT: i32 = WIDTH as i32 - 300;
const TOP: i32 = 116;
const BOTTOM: i32 = HEIGHT as i32 - 72;
/// Maximum number of characters in a name, and in the text below it.
const MAX_LETTERS: (usize, usize) = (24, 34);
/// Height of a name and the text below it, in pixels.
const NAME_HEIGHT: i32 = 52;

/// Draws the chart, if arms differ in pruning or expiry.
pub(super) fn draw(comparison: &Comparison) -> Option<Vec<u8>> {
    let state = comparison.state.as_ref()?;
    let last = state.arms.iter().map(|c| c.median.len()).max()?.checked_sub(1)?;
    let mut canvas = Canvas::new();
    let area = canvas.area();
    let n = state.pairs.len();
    let of = match n {
        1 => "one pair".to_owned(),
        _ => format!("median of {n} pairs, in a band from the least to the most"),
    };
    let shows = format!("bytes of protocol state on the fullest node, without keys and values: {of}");
    frame::title(&area, &caption(comparison), &shows);
    let most = state.arms.iter().flat_map(|c| &c.most).copied().fold(0.0, f64::max);
    let x = Scale::Linear { min: 0.0, max: (last as f64 * state.step_s).max(0.001) };
    let plot = Plot { left: LEFT, right: RIGHT, top: TOP, bottom: BOTTOM, x, y: Scale::from_zero(most) };
    faults(&area, &plot, state);
    frame::grid(&area, &plot, bytes);
    time_axis(&area, &plot, state);
    for curve in &state.arms {
        self::curve(&area, &plot, curve, state.step_s, place(comparison, &curve.arm));
    }
    names(&area, &plot, comparison, state);
    drop(area);
    Some(canvas.png())
}

fn faults(area: &Area<'_>, plot: &Plot, state: &StateSizes) {
    for [from, to] in &state.faults_s {
        let corners = [(plot.column(*from), plot.top), (plot.column(*to), plot.bottom)];
        frame::rectangle(area, corners, BAND.mix(0.75).filled());
    }
    if let Some([from, _]) = state.faults_s.first() {
        let style = text_style(SMALL, GREY, HPos::Left, VPos::Top);
        frame::text(area, (plot.column(*from) + 4, plot.top + 8), "a fault is on", &style);
    }
}

fn time_axis(area: &Area<'_>, plot: &Plot, state: &StateSizes) {
    let labels = text_style(LABEL, INK, HPos::Center, VPos::Top);
    for tick in plot.x.ticks(8) {
        let Tick::Major(v) = tick else { continue };
        let x = plot.column(v);
        frame::line(area, vec![(x, plot.top), (x, plot.bottom)], FAINT);
        frame::line(area, vec![(x, plot.bottom), (x, plot.bottom + 5)], GREY);
        frame::text(area, (x, plot.bottom + 8), &if v == 0.0 { "0 s".into() } else { duration(v * 1e3) }, &labels);
    }
    let small = |h| text_style(SMALL, GREY, h, VPos::Top);
    frame::text(area, (plot.right, plot.bottom + 36), "time since the start of the run, to the end of its load", &small(HPos::Right));
    if state.load_from_s > 0.0 {
        let words = format!("the first {} warm up", duration(state.load_from_s * 1e3));
        frame::text(area, (plot.left, plot.bottom + 36), &words, &small(HPos::Left));
    }
}

fn curve(area: &Area<'_>, plot: &Plot, curve: &StateCurve, step_s: f64, arm: usize) {
    let at = |(i, bytes): (usize, &f64)| (plot.column(i as f64 * step_s), plot.row(*bytes));
    let mut band: Vec<(i32, i32)> = curve.most.iter().enumerate().map(at).collect();
    band.extend(curve.least.iter().enumerate().map(at).rev());
    area.draw(&Polygon::new(band, colour(arm).mix(0.18).filled())).expect("drawing into memory does not fail");
    let points: Vec<(i32, i32)> = curve.median.iter().enumerate().map(at).collect();
    let end = points.last().copied();
    frame::line(area, points, colour(arm).stroke_width(3));
    if let Some(end) = end {
        area.draw(&Circle::new(end, 5, colour(arm).filled())).expect("drawing into memory does not fail");
    }
}

/// Draws names at the ends of their curves, moving them apart if curves end close to each other.
fn names(area: &Area<'_>, plot: &Plot, comparison: &Comparison, state: &StateSizes) {
    let mut ends: Vec<(&StateCurve, i32)> = state.arms.iter().map(|c| (c, plot.row(c.at_end()))).collect();
    ends.sort_by_key(|(_, row)| *row);
    let rows = spread_rows(&ends.iter().map(|(_, row)| *row).collect::<Vec<_>>(), plot.top + 10, plot.bottom);
    let reference = state.arms.iter().find(|c| comparison.arms.first().is_some_and(|a| a.name == c.arm));
    for ((curve, end), row) in ends.into_iter().zip(rows) {
        let arm = place(comparison, &curve.arm);
        let leader = vec![(plot.right + 6, end), (plot.right + 22, row), (plot.right + 30, row)];
        frame::line(area, leader, colour(arm).mix(0.7));
        let name = format!("{}: {}", shorten(&curve.arm, MAX_LETTERS.0), bytes(curve.at_end()));
        let left = plot.right + 36;
        frame::text(area, (left, row - 2), &name, &text_style(LABEL + 1, colour(arm), HPos::Left, VPos::Center));
        let below = [comparison.arms.get(arm).map(settings), reference.and_then(|r| change_from(curve, r))];
        let below = below.into_iter().flatten().filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" · ");
        frame::text(area, (left, row + 18), &shorten(&below, MAX_LETTERS.1), &text_style(SMALL, GREY, HPos::Left, VPos::Center));
    }
}

fn settings(arm: &Arm) -> String {
    arm.settings.iter().map(|(k, v)| format!("{} {v}", k.replace('_', " "))).collect::<Vec<_>>().join(", ")
}

/// Describes the final value relative to the reference, such as `72 % less`.
fn change_from(curve: &StateCurve, reference: &StateCurve) -> Option<String> {
    if curve.arm == reference.arm || reference.at_end() <= 0.0 {
        return None;
    }
    let change = curve.at_end() / reference.at_end() - 1.0;
    Some(format!("{} % {}", digits((change.abs() * 100.0).round()), if change < 0.0 { "less" } else { "more" }))
}

/// Returns the rows closest to the sorted `rows` that leave room for each name between `top` and `bottom`.
fn spread_rows(rows: &[i32], top: i32, bottom: i32) -> Vec<i32> {
    let mut placed: Vec<i32> = vec![];
    for row in rows {
        let free = placed.last().map_or(top, |above| above + NAME_HEIGHT);
        placed.push((*row).max(free));
    }
    let mut limit = bottom - NAME_HEIGHT / 2;
    for row in placed.iter_mut().rev() {
        *row = (*row).min(limit);
        limit = *row - NAME_HEIGHT;
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_overlap() {
        assert_eq!(spread_rows(&[100, 300], 50, 600), [100, 300]);
        for rows in [vec![100, 110, 120], vec![590, 595, 599], vec![50; 6], vec![600; 6]] {
            let placed = spread_rows(&rows, 50, 600);
            assert!(placed.windows(2).all(|w| w[1] - w[0] >= NAME_HEIGHT), "{placed:?}");
            assert!(placed[0] >= 50 && placed[placed.len() - 1] <= 600, "{placed:?}");
        }
    }
}
