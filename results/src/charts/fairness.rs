//! Fairness: the successes of each client over time, and how long intents waited.
//!
//! Each row is a client, labelled with its node. A cell is darker the more successes it contains, and pale red if the client had an
//! intent and no success. Rows of the same node are adjacent, so a starving node shows up as a red block. The lower plot shows the
//! share of intents that succeeded within a given time. Ticks mark waits whose end was not observed.

use super::axis::{Scale, Tick, digits, duration};
use super::canvas::{Area, Canvas, HEIGHT};
use super::frame::{self, Mark, Plot};
use super::style::{BLUE, FAINT, GREY, GRID, INK, LABEL, NAVY, SMALL, VIOLATION};
use super::{Scene, mix};
use heckle_checker::fairness::{End, Fairness, Group};
use heckle_history::Nanos;
use plotters::prelude::{Color, RGBColor, WHITE};
use plotters::style::text_anchor::{HPos, VPos};
use std::collections::BTreeMap;

/// Maximum number of readable rows. The least-served clients are drawn.
const MAX_ROWS: usize = 30;
/// Lower edge of the heat map.
const MAP_BOTTOM: i32 = 420;
/// Upper edge of the lower plot.
const WAITS_TOP: i32 = 520;
/// Approximate number of successes per cell for a client with an equal share.
const SUCCESSES_PER_CELL: u64 = 3;
/// Share of the mean below which a client is marked as starving.
const STARVING_BELOW: f64 = 0.25;
/// Colour of a cell with an intent and no success.
const NO_SUCCESS: RGBColor = RGBColor(232, 190, 212);
const PALE: RGBColor = RGBColor(205, 228, 243);

/// Draws the chart. Returns `None` for a history without intents.
pub(super) fn draw(scene: Scene<'_>) -> Option<Vec<u8>> {
    let fairness = scene.measured.fairness.as_ref()?;
    let rows = rows(fairness);
    let of = if rows.len() < fairness.clients.len() {
        format!(" (the {} least served of {})", rows.len(), fairness.clients.len())
    } else {
        String::new()
    };
    let mut canvas = Canvas::new();
    let shows = format!("intents won by each client over time{of}, and how long they waited");
    let plot = frame::rows_over_time(&mut canvas, scene, &shows, MAP_BOTTOM, Scale::Linear { min: 0.0, max: rows.len() as f64 });
    let area = canvas.area();
    heat_map(&area, &plot, scene, fairness, &rows);
    waits(&area, &plot, fairness);
    let shares = fairness.jain.map_or(String::new(), |j| format!("Jain {}", digits(j)));
    frame::legend(
        &area,
        &[
            (Mark::Fill, BLUE, format!("won, darker is more; {shares}")),
            (Mark::Fill, NO_SUCCESS, "wanted something, got nothing".into()),
            (Mark::Line, VIOLATION, "starves: under a quarter of the mean".into()),
            (Mark::Cross, GREY, "wait not seen to end".into()),
        ],
    );
    drop(area);
    Some(canvas.png())
}

/// Returns the least-served clients, ordered by node and number.
fn rows(fairness: &Fairness) -> Vec<&Group> {
    let mut rows: Vec<&Group> = fairness.clients.iter().collect();
    rows.sort_by_key(|g| g.won);
    rows.truncate(MAX_ROWS);
    let number = |g: &Group| g.name.trim_start_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().unwrap_or(u64::MAX);
    rows.sort_by(|a, b| (&a.node, number(a)).cmp(&(&b.node, number(b))));
    rows
}

fn heat_map(area: &Area<'_>, plot: &Plot, scene: Scene<'_>, fairness: &Fairness, rows: &[&Group]) {
    let window = scene.measured.window;
    let clients = fairness.clients.len().max(1) as u64;
    let columns = (fairness.ended(End::Won) / (SUCCESSES_PER_CELL * clients)).clamp(10, 90);
    let length = (window.end.since(window.start).0 / columns).max(1);
    let mut cells: BTreeMap<(String, u64), u64> = BTreeMap::new();
    for intent in &fairness.intents {
        let place = |t: Nanos| (t.since(window.start).0 / length).min(columns - 1);
        for column in place(intent.began)..=place(intent.ended) {
            cells.entry((intent.client.to_string(), column)).or_default();
        }
        if intent.end == End::Won && window.holds(intent.ended) {
            *cells.entry((intent.client.to_string(), place(intent.ended))).or_default() += 1;
        }
    }
    let most = cells.values().copied().max().unwrap_or(1).max(1);
    let height = f64::from(plot.bottom - plot.top) / rows.len().max(1) as f64;
    let row_of: BTreeMap<&str, usize> = rows.iter().enumerate().map(|(i, g)| (g.name.as_str(), i)).collect();
    for ((client, column), won) in &cells {
        let Some(row) = row_of.get(client.as_str()) else { continue };
        let (top, bottom) = (plot.top + (*row as f64 * height) as i32, plot.top + ((row + 1) as f64 * height) as i32);
        let at = |c: u64| plot.column(Nanos(window.start.0 + c * length).as_secs_f64());
        let colour = match won {
            0 => NO_SUCCESS,
            n => {
                let weight = (*n as f64 / most as f64).sqrt();
                if weight < 0.5 { mix(PALE, BLUE, weight * 2.0) } else { mix(BLUE, NAVY, weight * 2.0 - 1.0) }
            }
        };
        frame::rectangle(area, [(at(*column), top), (at(column + 1) - 1, bottom - 2)], colour.filled());
    }
    labels(area, plot, fairness, rows, height, plot.column(window.start.as_secs_f64()));
    frame::fault_edges(area, plot, scene);
}

/// Draws names next to the rows. Starving clients are also labelled inside their row, which begins at column `from`.
fn labels(area: &Area<'_>, plot: &Plot, fairness: &Fairness, rows: &[&Group], height: f64, from: i32) {
    let mean = fairness.clients.iter().map(|g| g.won).sum::<u64>() as f64 / fairness.clients.len().max(1) as f64;
    let size = (height as i32 - 2).clamp(8, SMALL);
    for (i, group) in rows.iter().enumerate() {
        let middle = plot.top + ((i as f64 + 0.5) * height) as i32;
        let poor = (group.won as f64) < STARVING_BELOW * mean;
        let colour = if poor { VIOLATION } else { INK };
        let words = if group.node.is_empty() { group.name.clone() } else { format!("{} · {}", group.name, group.node) };
        let style = frame::text_style(size, colour, HPos::Right, VPos::Center);
        frame::text(area, (plot.left - 8, middle), &frame::fit(area, &words, &style, plot.left - 12), &style);
        if poor {
            // Drawn on a filled rectangle, since red text on red cells is unreadable.
            let words = format!("starves: {} won", group.won);
            let style = frame::text_style(size, WHITE, HPos::Left, VPos::Center);
            let (left, half) = (from + 8, size / 2 + 3);
            let right = left + frame::width(area, &words, &style) + 12;
            frame::rectangle(area, [(left, middle - half), (right, middle + half)], VIOLATION.filled());
            frame::text(area, (left + 6, middle), &words, &style);
        }
    }
}

fn waits(area: &Area<'_>, map: &Plot, fairness: &Fairness) {
    let curve = &fairness.waits;
    let longest = fairness.longest_wait().map_or(1.0, |i| i.wait().as_ms_f64());
    let shortest = curve.steps.first().map_or(longest / 10.0, |s| s.0.as_ms_f64());
    let bottom = HEIGHT as i32 - 44;
    let plot = Plot {
        left: map.left,
        right: map.right,
        top: WAITS_TOP,
        bottom,
        x: Scale::logarithmic(shortest.max(0.01), longest.max(0.1)),
        y: Scale::Linear { min: 0.0, max: 1.0 },
    };
    let style = frame::text_style(SMALL, GREY, HPos::Left, VPos::Bottom);
    frame::text(area, (plot.left, plot.top - 5), "share of intents won within a time (Kaplan-Meier)", &style);
    for share in [0.0, 0.5, 0.99] {
        let row = plot.row(share);
        frame::line(area, vec![(plot.left, row), (plot.right, row)], if share == 0.0 { GREY } else { GRID });
        let words = format!("{} %", digits(share * 100.0));
        frame::text(area, (plot.left - 8, row), &words, &frame::text_style(SMALL, INK, HPos::Right, VPos::Center));
    }
    for tick in plot.x.ticks(8) {
        let (v, colour) = match tick {
            Tick::Major(v) => (v, GRID),
            Tick::Minor(v) => (v, FAINT),
        };
        let x = plot.column(v);
        frame::line(area, vec![(x, plot.top), (x, plot.bottom)], colour);
        if let Tick::Major(v) = tick {
            let style = frame::text_style(LABEL, INK, HPos::Center, VPos::Top);
            let words = duration(v);
            let half = frame::width(area, &words, &style) / 2;
            frame::text(area, (x.max(plot.left + half), plot.bottom + 7), &words, &style);
        }
    }
    let mut points = vec![(plot.left, plot.row(0.0))];
    let mut before = 0.0;
    for (time, waiting) in &curve.steps {
        let x = plot.column(time.as_ms_f64());
        points.extend([(x, plot.row(before)), (x, plot.row(1.0 - waiting))]);
        before = 1.0 - waiting;
    }
    points.push((plot.column(longest), plot.row(before)));
    points.dedup();
    frame::line(area, points, BLUE.stroke_width(3));
    // Overlapping crosses are drawn only once.
    let mut last: Option<i32> = None;
    for time in &curve.censored {
        let x = plot.column(time.as_ms_f64());
        if last.is_none_or(|l| x - l >= 4) {
            frame::cross(area, (x, plot.row(1.0 - curve.waiting_after(*time))), 5, GREY);
            last = Some(x);
        }
    }
}
