//! The panels of a sweep as one picture: latency over throughput in the upper row, and figures over the axis in the lower one.

use super::panels::{Dot, Line, Panel, panels};
use crate::charts::Caption;
use crate::charts::canvas::{Area, Canvas, HEIGHT, WIDTH};
use crate::charts::frame::{self, Mark, Plot, text_style};
use crate::charts::style::{BLUE, FAINT, GREEN, GREY, GRID, INK, ORANGE, PAPER, SKY, SMALL, VERMILLION};
use crate::sweep::analysis::axis_words::load_words;
use crate::sweep::sweep_json::Sweep;
use crate::terminal::shorten;
use plotters::element::Circle;
use plotters::prelude::{Color, RGBColor};
use plotters::style::text_anchor::{HPos, VPos};

/// Colours of the arms. The reference has the first one.
const COLOURS: [RGBColor; 6] = [INK, BLUE, ORANGE, GREEN, SKY, VERMILLION];
/// Upper and lower edges of the plots of both rows.
const ROWS: [(i32, i32); 2] = [(146, 376), (462, 650)];
/// Margins at the left and right edge of the picture.
const MARGIN: i32 = 20;
/// Width of the labels of a vertical axis.
const LABELS: i32 = 66;
/// Maximum number of panels that fit into the lower row.
const MAX_BELOW: usize = 4;

/// Draws the picture.
pub(in crate::sweep) fn draw(sweep: &Sweep) -> Vec<u8> {
    let mut canvas = Canvas::new();
    let area = canvas.area();
    let caption = Caption { plan: sweep.head.name.clone(), seed: sweep.head.seed.clone(), verdict: None };
    frame::title(&area, &caption, &shows(sweep));
    frame::legend(&area, &legend(sweep));
    let panels = panels(sweep);
    if panels.latency.is_empty() && panels.over_axis.is_empty() {
        let style = text_style(SMALL, GREY, HPos::Center, VPos::Center);
        frame::text(&area, (WIDTH as i32 / 2, HEIGHT as i32 / 2), "no run counts, so there is nothing to draw", &style);
    }
    for (row, panels) in [&panels.latency[..], &panels.over_axis[..panels.over_axis.len().min(MAX_BELOW)]].into_iter().enumerate() {
        let width = (WIDTH as i32 - 2 * MARGIN) / panels.len().max(1) as i32;
        for (i, panel) in panels.iter().enumerate() {
            let left = MARGIN + i as i32 * width;
            let (top, bottom) = ROWS[row];
            let plot = Plot { left: left + LABELS, right: left + width - 18, top, bottom, x: panel.x.scale, y: panel.y.scale };
            draw_panel(&area, &plot, panel);
        }
    }
    let note = hollow_note(sweep);
    frame::text(&area, (MARGIN, HEIGHT as i32 - 16), &shorten(&note, 170), &text_style(SMALL, GREY, HPos::Left, VPos::Center));
    drop(area);
    canvas.png()
}

/// Describes what a point and its bar represent.
fn shows(sweep: &Sweep) -> String {
    let design = &sweep.design;
    let load = load_words(sweep);
    let load = if load.is_empty() { load } else { format!(", {load}") };
    let repeats = match design.repeats {
        1 => "one run each".to_owned(),
        n => format!("median of {n} runs, bars from the lowest to the highest"),
    };
    format!("over {}{load}; latency from when ops were due; {repeats}", design.axis)
}

fn legend(sweep: &Sweep) -> Vec<(Mark, RGBColor, String)> {
    let arms = sweep.running_arms().map(|(i, arm)| (Mark::Line, colour(i), shorten(&arm.name, 24)));
    let mut entries: Vec<_> = arms.collect();
    let hollow = sweep.points.iter().any(|p| !p.limited_by.is_empty());
    let knee = !sweep.design.find_max && sweep.knees.iter().any(|k| k.at.is_some());
    entries.extend(knee.then(|| (Mark::Ring, INK, "knee".to_owned())));
    entries.extend(hollow.then(|| (Mark::Hollow, INK, "limited from outside the system".to_owned())));
    entries
}

fn hollow_note(sweep: &Sweep) -> String {
    let words = sweep.head.verdict.iter().find(|words| words.contains("are hollow"));
    words.map_or_else(String::new, |words| format!("hollow: {}", words.split_once("are hollow: ").map_or(words.as_str(), |(_, rest)| rest)))
}

fn colour(place: usize) -> RGBColor {
    COLOURS[place % COLOURS.len()]
}

fn draw_panel(area: &Area<'_>, plot: &Plot, panel: &Panel) {
    let title = if panel.y.label.is_empty() { panel.title.clone() } else { format!("{} ({})", panel.title, panel.y.label) };
    frame::text(area, (plot.left, plot.top - 8), &title, &text_style(SMALL, INK, HPos::Left, VPos::Bottom));
    let labels = text_style(SMALL, INK, HPos::Right, VPos::Center);
    for (v, words) in &panel.y.ticks {
        frame::line(area, vec![(plot.left, plot.row(*v)), (plot.right, plot.row(*v))], GRID);
        frame::text(area, (plot.left - 8, plot.row(*v)), words, &labels);
    }
    let labels = text_style(SMALL, INK, HPos::Center, VPos::Top);
    for (v, words) in &panel.x.ticks {
        frame::line(area, vec![(plot.column(*v), plot.top), (plot.column(*v), plot.bottom)], FAINT);
        frame::text(area, (plot.column(*v), plot.bottom + 9), words, &labels);
    }
    frame::line(area, vec![(plot.left, plot.top), (plot.left, plot.bottom), (plot.right, plot.bottom)], GREY);
    frame::text(area, (plot.right, plot.bottom + 29), &panel.x.label, &text_style(SMALL, GREY, HPos::Right, VPos::Top));
    if let Some((limit, words)) = &panel.limit {
        dashed(area, &[(plot.left, plot.row(*limit)), (plot.right, plot.row(*limit))], VERMILLION);
        frame::text(area, (plot.left + 6, plot.row(*limit) - 3), words, &text_style(SMALL, VERMILLION, HPos::Left, VPos::Bottom));
    }
    if let Some((points, words)) = &panel.reference {
        let at: Vec<(i32, i32)> = points.iter().map(|(x, y)| (plot.column(*x), plot.row(*y))).collect();
        dashed(area, &at, GREY);
        if let Some((x, y)) = at.get(at.len() / 2) {
            frame::text(area, (x + 8, y + 6), words, &text_style(SMALL, GREY, HPos::Left, VPos::Top));
        }
    }
    panel.lines.iter().for_each(|line| draw_line(area, plot, line));
}

fn draw_line(area: &Area<'_>, plot: &Plot, line: &Line) {
    let colour = colour(line.place);
    let at = |d: &Dot| (plot.column(d.x), plot.row(d.y.median));
    // Draw segment by segment: a thick line through all points would have spikes at its turns.
    line.dots.windows(2).for_each(|pair| frame::line(area, pair.iter().map(at).collect(), colour.stroke_width(2)));
    for dot in &line.dots {
        let (x, y) = at(dot);
        let (high, low) = (plot.row(dot.y.max), plot.row(dot.y.min));
        if dot.y.n > 1 && high < low {
            frame::line(area, vec![(x, high), (x, low)], colour.mix(0.6).stroke_width(2));
            for end in [high, low] {
                frame::line(area, vec![(x - 4, end), (x + 4, end)], colour.mix(0.6));
            }
        }
        let filling = if dot.hollow { PAPER } else { colour };
        area.draw(&Circle::new((x, y), 5, filling.filled())).expect("drawing into memory does not fail");
        if dot.hollow {
            frame::circle(area, (x, y), 5, colour);
        }
        if dot.knee {
            frame::circle(area, (x, y), 10, colour);
        }
    }
}

/// Draws a dashed line through points.
fn dashed(area: &Area<'_>, points: &[(i32, i32)], colour: RGBColor) {
    const DASH: f64 = 7.0;
    for pair in points.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let (dx, dy) = (f64::from(to.0 - from.0), f64::from(to.1 - from.1));
        let length = dx.hypot(dy);
        let at = |t: f64| (from.0 + (dx * t / length).round() as i32, from.1 + (dy * t / length).round() as i32);
        let mut t = 0.0;
        while t < length {
            frame::line(area, vec![at(t), at((t + DASH).min(length))], colour.stroke_width(1));
            t += 2.0 * DASH;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::sample;

    #[test]
    fn pictures_are_drawn_even_without_runs() {
        let mut empty = sample::sweep(&["a"], 1);
        empty.runs.clear();
        for sweep in
            [crate::sweep::conclude::summarize(empty), sample::sweep(&["a", "b", "c"], 3), sample::contention(&["off", "priority"], 1)]
        {
            let png = draw(&sweep);
            assert!(png.starts_with(b"\x89PNG") && png.len() < 150_000, "{} bytes", png.len());
        }
    }

    /// The picture, too, distinguishes hollow from filled points, and knees from other points.
    #[test]
    fn hollow_points_and_knees_show() {
        let filled = sample::sweep(&["a"], 1);
        let mut hollow = filled.clone();
        hollow.points.iter_mut().for_each(|p| p.limited_by = [("machine_busy".to_owned(), 1)].into());
        let mut kneeless = filled.clone();
        kneeless.knees.clear();
        assert_ne!(draw(&filled), draw(&hollow));
        assert_ne!(draw(&filled), draw(&kneeless));
    }
}
