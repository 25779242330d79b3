//! The forest plot: a row per figure, a point per effect, and a line for its interval. Ratios use a log axis with a band for
//! values that count as the same. Differences of shares have their own axis below.

use super::{caption, colour, place};
use crate::charts::axis::{Scale, Tick, digits};
use crate::charts::canvas::{Area, Canvas, HEIGHT, WIDTH};
use crate::charts::frame::{self, Mark, text_style};
use crate::charts::style::{BAND, FAINT, GREY, GRID, INK, LABEL, SMALL};
use crate::compare::compare_json::{Comparison, EffectIs, FigureResult};
use crate::compare::phases::Phase;
use plotters::element::{Circle, Polygon};
use plotters::prelude::Color;
use plotters::style::text_anchor::{HPos, VPos};

const LEFT: i32 = 330;
const RIGHT: i32 = WIDTH as i32 - 290;
const TOP: i32 = 122;
const BOTTOM: i32 = HEIGHT as i32 - 46;
/// Height of an axis with its labels, below a panel.
const AXIS: i32 = 44;
/// Maximum number of readable rows.
const MAX_ROWS: usize = 30;
/// Maximum ratio on the axis. Larger ratios are drawn at the edge, with an arrow.
const MAX_RATIO: f64 = 50.0;

/// Figures compared by ratio, and whether their phases are shown as well.
const RATIO_FIGURES: [(&str, bool); 6] = [
    ("restricted_wait_ms", false),
    ("intent_p99_ms", true),
    ("longest_wait_ms", true),
    ("intent_p50_ms", false),
    ("goodput_per_s", false),
    ("attempts_per_intent", false),
];

struct Panel {
    top: i32,
    bottom: i32,
    x: Scale,
    zero: f64,
}

impl Panel {
    fn column(&self, value: f64) -> i32 {
        LEFT + (self.x.place(value) * f64::from(RIGHT - LEFT)).round() as i32
    }

    fn is_outside(&self, value: f64) -> bool {
        match self.x {
            Scale::Linear { min, max } | Scale::Log { min, max } => value < min || value > max,
        }
    }
}

pub(super) fn draw(comparison: &Comparison) -> Vec<u8> {
    let mut canvas = Canvas::new();
    let area = canvas.area();
    let reference = comparison.arms.first().map_or("the reference", |a| a.name.as_str());
    frame::title(
        &area,
        &caption(comparison),
        &format!("effects against {reference} with 95 % intervals; the figures that claims are made about stand first, in full colour"),
    );
    let arms: Vec<_> = comparison.contrasts.iter().map(|c| (Mark::Dot, colour(place(comparison, &c.arm)), c.arm.clone())).collect();
    frame::legend(&area, &arms);
    let all_phases = rows(comparison, true);
    let rows = if all_phases.iter().map(Vec::len).sum::<usize>() * comparison.contrasts.len().max(1) > MAX_ROWS * 2 {
        rows(comparison, false)
    } else {
        all_phases
    };
    let [ratios, shares] = rows;
    let count = ratios.len() + shares.len();
    if count == 0 {
        let style = text_style(LABEL + 4, GREY, HPos::Center, VPos::Center);
        frame::text(&area, (WIDTH as i32 / 2, HEIGHT as i32 / 2), "nothing is compared: no pair counts", &style);
    } else {
        let height = f64::from(BOTTOM - TOP - 2 * AXIS) / count as f64;
        let split = TOP + (height * ratios.len() as f64).round() as i32;
        if !ratios.is_empty() {
            let panel = Panel { top: TOP, bottom: split, x: ratio_scale(&ratios), zero: 1.0 };
            ratio_axis(&area, &panel, comparison.design.same_ratio);
            panel_rows(&area, &panel, &ratios, height, comparison);
        }
        if !shares.is_empty() {
            let panel = Panel { top: split + AXIS, bottom: BOTTOM - AXIS, x: share_scale(&shares), zero: 0.0 };
            share_axis(&area, &panel, comparison.design.same_share);
            panel_rows(&area, &panel, &shares, height, comparison);
        }
    }
    drop(area);
    canvas.png()
}

/// A row: its label, and the result of each contrast.
type Row<'a> = (String, Vec<(usize, &'a FigureResult)>);

/// Returns the rows compared by ratio, and those compared by difference.
fn rows(comparison: &Comparison, phases: bool) -> [Vec<Row<'_>>; 2] {
    let of = |figure: &str, phase: Phase, is: EffectIs| -> Option<Row<'_>> {
        let found = |c: &'_ crate::compare::compare_json::Contrast| {
            c.figures.iter().position(|f| f.figure == figure && f.phase == Some(phase) && f.effect_is == is)
        };
        let results: Vec<_> =
            comparison.contrasts.iter().filter_map(|c| Some((place(comparison, &c.arm), &c.figures[found(c)?]))).collect();
        let first = results.first()?.1;
        let label = if phase == Phase::Whole { first.what.clone() } else { format!("{}, {}", first.what, phase.words()) };
        Some((label, results))
    };
    let all = |figure: &'static str, with_phases: bool, is| {
        Phase::ALL.into_iter().filter(move |p| *p == Phase::Whole || (with_phases && phases)).filter_map(move |p| of(figure, p, is))
    };
    let ratios = RATIO_FIGURES.iter().flat_map(|(figure, with)| all(figure, *with, EffectIs::Ratio)).collect();
    let unknown = all("unknown_ratio", true, EffectIs::Difference);
    let shares = all("unfinished_ratio", false, EffectIs::Difference).chain(unknown).collect();
    [ratios, shares]
}

fn ends<'a>(rows: &'a [Row<'_>]) -> impl Iterator<Item = f64> + 'a {
    rows.iter().flat_map(|(_, r)| r).flat_map(|(_, f)| [f.low, f.effect, f.high]).flatten()
}

fn ratio_scale(rows: &[Row<'_>]) -> Scale {
    let farthest = ends(rows).filter(|r| *r > 0.0).map(|r| r.ln().abs().exp()).fold(1.25, f64::max).min(MAX_RATIO);
    Scale::Log { min: 1.0 / (farthest * 1.1), max: farthest * 1.1 }
}

fn share_scale(rows: &[Row<'_>]) -> Scale {
    let farthest = ends(rows).map(f64::abs).fold(0.003, f64::max);
    Scale::Linear { min: -farthest * 1.1, max: farthest * 1.1 }
}

fn ratio_axis(area: &Area<'_>, panel: &Panel, same: f64) {
    frame::rectangle(area, [(panel.column(1.0 / same), panel.top), (panel.column(same), panel.bottom)], BAND.mix(0.8).filled());
    let style = text_style(SMALL, INK, HPos::Center, VPos::Top);
    let Scale::Log { max, .. } = panel.x else { return };
    let marks: &[f64] = if max < 1.6 {
        &[1.1, 1.2, 1.3, 1.5]
    } else if max < 6.0 {
        &[1.25, 1.5, 2.0, 3.0, 4.0, 5.0]
    } else {
        // Labels closer to 1 would overlap.
        &[2.0, 5.0, 10.0, 20.0, 50.0]
    };
    for ratio in marks.iter().flat_map(|m| [1.0 / m, *m]).chain([1.0]).filter(|r| !panel.is_outside(*r)) {
        let x = panel.column(ratio);
        let main = (ratio - 1.0).abs() < 1e-9;
        frame::line(area, vec![(x, panel.top), (x, panel.bottom)], if main { GREY } else { GRID });
        let words = if main { "same".to_owned() } else { format!("×{}", digits(ratio)) };
        frame::text(area, (x, panel.bottom + 6), &words, &style);
    }
    border(area, panel, "ratio (log)");
}

fn share_axis(area: &Area<'_>, panel: &Panel, same: f64) {
    frame::rectangle(area, [(panel.column(-same), panel.top), (panel.column(same), panel.bottom)], BAND.mix(0.8).filled());
    let style = text_style(SMALL, INK, HPos::Center, VPos::Top);
    for tick in panel.x.ticks(6) {
        if let Tick::Major(v) = tick {
            let x = panel.column(v);
            let main = v.abs() < 1e-12;
            frame::line(area, vec![(x, panel.top), (x, panel.bottom)], if main { GREY } else { GRID });
            let sign = if v > 0.0 {
                "+"
            } else if main {
                ""
            } else {
                "−"
            };
            frame::text(area, (x, panel.bottom + 6), &format!("{sign}{}", digits(v.abs() * 100.0)), &style);
        }
    }
    border(area, panel, "percentage points");
}

fn border(area: &Area<'_>, panel: &Panel, words: &str) {
    frame::line(area, vec![(LEFT, panel.bottom), (RIGHT, panel.bottom)], GREY);
    frame::text(area, (LEFT - 12, panel.bottom + 6), words, &text_style(SMALL, GREY, HPos::Right, VPos::Top));
}

fn panel_rows(area: &Area<'_>, panel: &Panel, rows: &[Row<'_>], height: f64, comparison: &Comparison) {
    let labels = text_style(if height > 24.0 { LABEL } else { SMALL }, INK, HPos::Right, VPos::Center);
    let faint = text_style(if height > 24.0 { LABEL } else { SMALL }, GREY, HPos::Right, VPos::Center);
    let room = f64::from(panel.bottom - panel.top) / rows.len() as f64;
    for (i, (label, results)) in rows.iter().enumerate() {
        let top = f64::from(panel.top) + i as f64 * room;
        let primary = results.iter().any(|(_, f)| f.primary);
        frame::line(area, vec![(LEFT, top as i32), (RIGHT, top as i32)], FAINT);
        frame::text(area, (LEFT - 12, (top + room / 2.0) as i32), label, if primary { &labels } else { &faint });
        let lane = room / results.len() as f64;
        for (j, (arm, f)) in results.iter().enumerate() {
            let y = (top + lane * (j as f64 + 0.5)).round() as i32;
            effect(area, panel, f, *arm, y, lane, comparison);
        }
    }
}

fn effect(area: &Area<'_>, panel: &Panel, f: &FigureResult, arm: usize, y: i32, lane: f64, comparison: &Comparison) {
    let ink = colour(arm).mix(if f.primary { 1.0 } else { 0.55 });
    let size = if f.primary { 6 } else { 4 };
    if let (Some(low), Some(high)) = (f.low, f.high) {
        frame::line(area, vec![(panel.column(low), y), (panel.column(high), y)], ink.stroke_width(if f.primary { 3 } else { 2 }));
        for (end, outwards) in [(low, -1), (high, 1)].into_iter().filter(|(end, _)| panel.is_outside(*end)) {
            arrow(area, (panel.column(end), y), outwards, arm);
        }
    }
    match f.effect {
        // The effect is only a bound: the true effect is farther out.
        Some(e) if f.bound => arrow(area, (panel.column(e), y), if e < panel.zero { -1 } else { 1 }, arm),
        Some(e) => area.draw(&Circle::new((panel.column(e), y), size, ink.filled())).expect("drawing into memory does not fail"),
        None => {}
    }
    if lane >= 15.0 || comparison.contrasts.len() == 1 {
        let words = match (f.effect, f.n) {
            (Some(_), _) => format!("{}  ({})", f.effect_cell(), f.interval_cell()),
            (None, 0) => "no pair has it in both runs".into(),
            (None, _) => "bounds on both sides: not known".into(),
        };
        let words = words.replace(" to ", " … ");
        frame::text(area, (RIGHT + 12, y), &words, &text_style(SMALL, if f.primary { INK } else { GREY }, HPos::Left, VPos::Center));
    }
}

fn arrow(area: &Area<'_>, at: (i32, i32), outwards: i32, arm: usize) {
    let points = vec![(at.0 - 5 * outwards, at.1 - 6), (at.0 + 6 * outwards, at.1), (at.0 - 5 * outwards, at.1 + 6)];
    area.draw(&Polygon::new(points, colour(arm).filled())).expect("drawing into memory does not fail");
}
