//! Successes of clients over time: a row per client, a column per slice of the load window, and darker cells for more
//! successes. The chart shows the pair with the median effect, so the choice does not depend on the chart. Starved clients
//! appear as pale rows, and an outage as a pale column.

use super::caption;
use crate::charts::axis::{count, duration};
use crate::charts::canvas::{Area, Canvas, HEIGHT, WIDTH};
use crate::charts::frame::{self, text_style};
use crate::charts::style::{BLUE, GREY, INK, LABEL, SMALL, VERMILLION};
use crate::compare::compare_json::{Comparison, SuccessMap};
use plotters::prelude::{Color, RGBColor};
use plotters::style::text_anchor::{HPos, VPos};

const LEFT: i32 = 92;
const RIGHT: i32 = WIDTH as i32 - 132;
const TOP: i32 = 122;
const BOTTOM: i32 = HEIGHT as i32 - 56;
/// Space between two arms, for the name of the lower one.
const GAP: i32 = 34;
/// Maximum number of distinguishable rows. More clients are grouped.
const MAX_ROWS: usize = 64;

pub(super) fn draw(comparison: &Comparison) -> Vec<u8> {
    let mut canvas = Canvas::new();
    let area = canvas.area();
    let maps = &comparison.successes;
    let shows = maps.first().map_or_else(
        || "successes of each client over time".to_owned(),
        |m| {
            format!(
                "successes of each client in slices of {}, in pair {}, the one with the median effect",
                duration(m.slice_s * 1e3),
                m.pair
            )
        },
    );
    frame::title(&area, &caption(comparison), &shows);
    if maps.is_empty() {
        let style = text_style(LABEL + 4, GREY, HPos::Center, VPos::Center);
        frame::text(&area, (WIDTH as i32 / 2, HEIGHT as i32 / 2), "no pair counts", &style);
    } else {
        let rows: Vec<Vec<Row>> = maps.iter().map(group_clients).collect();
        let most = rows.iter().flatten().flat_map(|r| &r.mean).copied().fold(0.0, f64::max).max(1.0);
        scale(&area, most);
        let height = (BOTTOM - TOP - GAP * (maps.len() as i32 - 1)) / maps.len() as i32;
        for (i, (map, rows)) in maps.iter().zip(&rows).enumerate() {
            let top = TOP + i as i32 * (height + GAP);
            panel(&area, map, rows, most, (top, top + height));
        }
        let slices = maps[0].successes.first().map_or(0, Vec::len);
        let style = text_style(SMALL, INK, HPos::Center, VPos::Top);
        for quarter in 0..=4 {
            let x = LEFT + (RIGHT - LEFT) * quarter / 4;
            let ms = maps[0].slice_s * slices as f64 * f64::from(quarter) / 4.0 * 1e3;
            frame::text(&area, (x, BOTTOM + 8), &if quarter == 0 { "0 s".into() } else { duration(ms) }, &style);
        }
        frame::text(&area, (RIGHT, BOTTOM + 32), "time since the load window began", &text_style(SMALL, GREY, HPos::Right, VPos::Top));
    }
    drop(area);
    canvas.png()
}

/// One or more clients: their name, their mean successes per slice, and the total.
struct Row {
    name: String,
    mean: Vec<f64>,
    total: u64,
}

fn group_clients(map: &SuccessMap) -> Vec<Row> {
    let size = map.clients.len().div_ceil(MAX_ROWS).max(1);
    let groups = map.clients.chunks(size).zip(map.successes.chunks(size));
    groups
        .map(|(names, rows)| {
            let slices = rows.first().map_or(0, Vec::len);
            let sum = |s: usize| rows.iter().map(|r| f64::from(r.get(s).copied().unwrap_or(0))).sum::<f64>();
            let name = if names.len() > 1 { format!("{}–{}", names[0], names[names.len() - 1]) } else { names[0].clone() };
            let total = rows.iter().flatten().map(|n| u64::from(*n)).sum();
            Row { name, mean: (0..slices).map(|s| sum(s) / rows.len() as f64).collect(), total }
        })
        .collect()
}

/// Returns a colour from nearly white to blue. Zero has its own colour.
fn shade(value: f64, most: f64) -> RGBColor {
    if value <= 0.0 {
        return RGBColor(246, 226, 216);
    }
    let share = 0.15 + 0.85 * (value / most).sqrt().min(1.0);
    let mix = |to: u8| (255.0 + (f64::from(to) - 255.0) * share).round() as u8;
    RGBColor(mix(BLUE.0), mix(BLUE.1), mix(BLUE.2))
}

fn panel(area: &Area<'_>, map: &SuccessMap, rows: &[Row], most: f64, (top, bottom): (i32, i32)) {
    frame::text(area, (LEFT, top - 6), &map.arm, &text_style(LABEL, INK, HPos::Left, VPos::Bottom));
    let n = rows.len().max(1) as i32;
    let fewest = rows.iter().map(|r| r.total).min().unwrap_or(0);
    let mean = rows.iter().map(|r| r.total).sum::<u64>() as f64 / f64::from(n);
    for (i, row) in rows.iter().enumerate() {
        let (y0, y1) = (top + (bottom - top) * i as i32 / n, top + (bottom - top) * (i as i32 + 1) / n);
        let slices = row.mean.len().max(1) as i32;
        for (s, value) in row.mean.iter().enumerate() {
            let (x0, x1) = (LEFT + (RIGHT - LEFT) * s as i32 / slices, LEFT + (RIGHT - LEFT) * (s as i32 + 1) / slices);
            frame::rectangle(area, [(x0, y0), (x1 - 1, y1 - i32::from(y1 - y0 > 5))], shade(*value, most).filled());
        }
        // Label the row with the fewest successes if it has less than half of an equal share.
        let starved = row.total == fewest && (row.total as f64) < mean / 2.0;
        if y1 - y0 >= 12 || starved {
            let colour = if starved { VERMILLION } else { INK };
            frame::text(area, (LEFT - 8, (y0 + y1) / 2), &row.name, &text_style(SMALL, colour, HPos::Right, VPos::Center));
            frame::text(area, (RIGHT + 8, (y0 + y1) / 2), &count(row.total), &text_style(SMALL, colour, HPos::Left, VPos::Center));
        }
    }
    frame::text(area, (RIGHT + 8, top - 6), "in all", &text_style(SMALL, GREY, HPos::Left, VPos::Bottom));
}

fn scale(area: &Area<'_>, most: f64) {
    let style = text_style(SMALL, INK, HPos::Left, VPos::Center);
    let mut x = 24;
    for (words, value) in [("none", 0.0), ("some", most * 0.02), ("", most * 0.3), ("", most * 0.6), ("most", most)] {
        frame::rectangle(area, [(x, 78), (x + 26, 94)], shade(value, most).filled());
        x += 32;
        if !words.is_empty() {
            frame::text(area, (x, 86), words, &style);
            x += frame::width(area, words, &style) + 16;
        }
    }
}
