//! A drawing as inline SVG. Colours come from the style sheet, so the drawing follows the light or dark setting and print styles.

use super::drawing::{Area, Drawing, LineStyle, Shape, Tone};
use crate::report::markup::Html;

/// Returns the drawing. `class` distinguishes several drawings of the same argument.
pub(super) fn of(drawing: &Drawing, class: &str, label: &str) -> Html {
    let view = format!("0 0 {:.0} {:.0}", drawing.width, drawing.height);
    let (width, height) = (format!("{:.0}", drawing.width), format!("{:.0}", drawing.height));
    let attributes =
        [("class", class), ("viewBox", view.as_str()), ("width", &width), ("height", &height), ("role", "img"), ("aria-label", label)];
    Html::element("svg", &attributes, shapes(&drawing.shapes))
}

fn shapes(all: &[Shape]) -> Html {
    all.iter().map(shape).collect()
}

fn shape(shape: &Shape) -> Html {
    match shape {
        Shape::Fill(area, tone) => rect(*area, &[("class", fill(*tone))]),
        Shape::Outline(area, tone) => rect(*area, &[("class", "a-outline"), ("data-tone", fill(*tone))]),
        Shape::Line(points, tone, style) => {
            let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let class = match (tone, style) {
                (Tone::Paper, _) => "a-cut",
                (Tone::Fault, _) => "a-edge",
                (Tone::Violation, _) => "a-moment",
                (Tone::Answered, _) => "a-holds",
                (_, LineStyle::Dotted) => "a-line a-dotted",
                (_, LineStyle::Solid) => "a-line",
            };
            Html::element("polyline", &[("points", &points.join(" ")), ("class", class)], "")
        }
        Shape::Text(text) => {
            let (x, y) = (format!("{:.1}", text.x), format!("{:.1}", text.y));
            let class = match (text.tone, text.strong) {
                (Tone::Dim, _) => "a-dim",
                (Tone::Fault, _) => "a-fault",
                (Tone::Violation, _) => "a-bad",
                (_, true) => "a-strong",
                (_, false) => "a-ink",
            };
            // The content security policy forbids inline styles, and the style sheet overrides attributes, so only classes remain.
            let class = format!("{class} a-size-{}", (text.size * 2.0).round());
            let attributes = [("x", x.as_str()), ("y", &y), ("class", &class)];
            Html::element("text", &attributes, text.words.as_str())
        }
        Shape::Op(op, inner) => Html::element("g", &[("class", "a-op"), ("data-op", &op.to_string())], shapes(inner)),
    }
}

fn fill(tone: Tone) -> &'static str {
    match tone {
        Tone::Answered => "a-answered",
        Tone::Failed => "a-failed",
        Tone::Open => "a-open",
        Tone::Violation => "a-violation",
        Tone::Band => "a-band",
        Tone::Paper => "a-paper",
        Tone::Ink | Tone::Dim | Tone::Fault => "a-line",
    }
}

fn rect(area: Area, attributes: &[(&'static str, &str)]) -> Html {
    let numbers = [area.x, area.y, area.width, area.height].map(|n| format!("{n:.1}"));
    let place = [("x", numbers[0].as_str()), ("y", &numbers[1]), ("width", &numbers[2]), ("height", &numbers[3])];
    Html::element("rect", &[&place, attributes].concat(), "")
}
