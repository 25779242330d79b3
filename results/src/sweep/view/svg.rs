//! The panels of a sweep as SVG elements of a page. Colours are classes, so that the style sheet can set them for light and dark mode.

use super::panels::{Axis, Dot, Line, Panel};
use crate::charts::frame::Plot;
use crate::report::markup::Html;

/// Width of a panel. A phone scales it to about nine tenths, so labels stay readable.
const WIDTH: i32 = 400;
const HEIGHT: i32 = 270;

/// Draws one panel.
pub(super) fn panel(panel: &Panel) -> Html {
    let plot = Plot { left: 58, right: WIDTH - 12, top: 12, bottom: HEIGHT - 46, x: panel.x.scale, y: panel.y.scale };
    let size = format!("0 0 {WIDTH} {HEIGHT}");
    let title = if panel.y.label.is_empty() { panel.title.clone() } else { format!("{} ({})", panel.title, panel.y.label) };
    let mut content = axes(&plot, &panel.x, &panel.y);
    if let Some((limit, words)) = &panel.limit {
        let y = plot.row(*limit);
        content.push(path("limit", &[(plot.left, y), (plot.right, y)]));
        content.push(text("limit", "start", (plot.left + 5, y - 4), words));
    }
    if let Some((points, words)) = &panel.reference {
        let at: Vec<(i32, i32)> = points.iter().map(|(x, y)| (plot.column(*x), plot.row(*y))).collect();
        content.push(path("reference", &at));
        if let Some((x, y)) = at.get(at.len() / 2) {
            content.push(text("reference", "start", (x + 7, y + 14), words));
        }
    }
    panel.lines.iter().for_each(|line| content.push(draw_line(&plot, line)));
    let label = format!("{title} over {}", panel.x.label);
    let svg = Html::element("svg", &[("viewBox", &size), ("role", "img"), ("aria-label", &label)], content);
    Html::element("figure", &[("class", "panel")], Html::element("figcaption", &[], title).and(svg))
}

fn axes(plot: &Plot, x: &Axis, y: &Axis) -> Html {
    let mut out = Html::default();
    for (v, words) in &y.ticks {
        let row = plot.row(*v);
        out.push(path("grid", &[(plot.left, row), (plot.right, row)]));
        out.push(text("tick", "end", (plot.left - 6, row + 4), words));
    }
    for (v, words) in &x.ticks {
        let column = plot.column(*v);
        out.push(path("grid", &[(column, plot.top), (column, plot.bottom)]));
        // A label at the right edge would be cut off.
        let anchor = if column > WIDTH - 24 { "end" } else { "middle" };
        let at = if anchor == "end" { (plot.right + 10).min(WIDTH - 2) } else { column };
        out.push(text("tick", anchor, (at, plot.bottom + 18), words));
    }
    out.push(path("frame", &[(plot.left, plot.top), (plot.left, plot.bottom), (plot.right, plot.bottom)]));
    out.push(text("label", "end", (plot.right, plot.bottom + 38), &x.label));
    out
}

fn draw_line(plot: &Plot, line: &Line) -> Html {
    let at = |d: &Dot| (plot.column(d.x), plot.row(d.y.median));
    let mut out = Html::default();
    if line.dots.len() > 1 {
        out.push(path("curve", &line.dots.iter().map(at).collect::<Vec<_>>()));
    }
    for dot in &line.dots {
        let (x, y) = at(dot);
        let (high, low) = (plot.row(dot.y.max), plot.row(dot.y.min));
        if dot.y.n > 1 && high < low {
            out.push(path("range", &[(x, high), (x, low)]));
            [high, low].iter().for_each(|end| out.push(path("range", &[(x - 3, *end), (x + 3, *end)])));
        }
        let words = Html::element("title", &[], dot.words.as_str());
        out.push(circle(if dot.hollow { "hollow" } else { "dot" }, (x, y), 4, words));
        if dot.knee {
            out.push(circle("ring", (x, y), 8, Html::default()));
        }
    }
    Html::element("g", &[("class", arm_class(line.place))], out)
}

/// Returns the class of an arm, which sets its colour.
pub(super) fn arm_class(place: usize) -> &'static str {
    ["a0", "a1", "a2", "a3", "a4", "a5"][place % 6]
}

/// Returns a sample of a line for the legend.
pub(super) fn line_sample(place: usize) -> Html {
    let content = path("curve", &[(1, 7), (25, 7)]).and(circle("dot", (13, 7), 4, Html::default()));
    sample(arm_class(place), content)
}

/// Returns a sample of the mark of a knee.
pub(super) fn knee_sample() -> Html {
    sample("a0", circle("dot", (13, 7), 3, Html::default()).and(circle("ring", (13, 7), 6, Html::default())))
}

/// Returns a sample of a hollow point.
pub(super) fn hollow_sample() -> Html {
    sample("a0", circle("hollow", (13, 7), 4, Html::default()))
}

fn sample(class: &str, content: Html) -> Html {
    let inner = Html::element("g", &[("class", class)], content);
    Html::element("svg", &[("viewBox", "0 0 26 14"), ("class", "sample"), ("aria-hidden", "true")], inner)
}

fn path(class: &'static str, points: &[(i32, i32)]) -> Html {
    let points: Vec<String> = points.iter().map(|(x, y)| format!("{x},{y}")).collect();
    Html::element("polyline", &[("class", class), ("points", &points.join(" "))], Html::default())
}

fn circle(class: &'static str, (x, y): (i32, i32), radius: i32, content: Html) -> Html {
    let (x, y, radius) = (x.to_string(), y.to_string(), radius.to_string());
    Html::element("circle", &[("class", class), ("cx", &x), ("cy", &y), ("r", &radius)], content)
}

fn text(class: &'static str, anchor: &'static str, (x, y): (i32, i32), words: &str) -> Html {
    let (x, y) = (x.to_string(), y.to_string());
    Html::element("text", &[("class", class), ("text-anchor", anchor), ("x", &x), ("y", &y)], words)
}
