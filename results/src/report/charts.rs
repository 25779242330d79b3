//! Containers for the charts drawn by scripts, their descriptions, and the charts as images.

use super::PageInput;
use super::markup::{Html, heading, note};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The charts over time: id, title, and a description for readers who cannot see them.
const TIME_CHARTS: [(&str, &str, &str); 10] = [
    ("events", "Faults and nodes", "A lane for every kind of fault and for every node: when faults struck and nodes started or ended."),
    (
        "latency",
        "Latency of every op",
        "Latency from when an op was due. Shade: how many of all ops lie there. Points: ops that open their details on a click or with Enter.",
    ),
    (
        "quantiles",
        "Percentiles over time",
        "From below p50, p90, p95, p99 and the slowest, in slices of at least 200 ops, so that p99 is not just the slowest. Broken lines count \
         from when the op was sent. The filter for kinds holds here too.",
    ),
    ("outcomes", "Outcomes", "Ops a second by how they ended, stacked; unknown outcomes are hatched by what they turned out to be."),
    ("rate", "Rate", "Ops a second: due, sent and answered."),
    ("inflight", "In flight", "Ops that were open at once: the most and the mean a slice."),
    ("rounds", "Rounds", "Attempts per op: the maximum and the mean of each slice."),
    ("preempted", "Preemptions and repairs", "How often a second ops were outbid, and how often they finished the work of others first."),
    ("state", "Protocol state", "Bytes of state of every node, keys and values included."),
    ("sync", "Synced appends", "99th percentile of every node's synced appends since its process started."),
];

pub(super) fn of(subject: PageInput<'_>) -> Html {
    let mut out = heading("h2", "charts", "Over time");
    out.push(note(
        "One cursor and one zoom for all. Drag to zoom, double click to reset. By keyboard, on a chart: left and right move the cursor, \
         with Shift the view; + and - zoom, 0 resets; Enter opens the op at the cursor.",
    ));
    out.push(Html::element("noscript", &[], note("The charts need scripts; the still pictures below do not.")));
    out.push(Html::element("div", &[("id", "tools"), ("class", "tools")], filters(subject)));
    out.push(Html::element("p", &[("id", "readout"), ("class", "readout"), ("aria-live", "off")], ""));
    for (id, title, words) in TIME_CHARTS {
        out.push(chart_container(id, title, words));
    }
    out.push(heading("h2", "percentiles", "Percentiles"));
    out.push(note("Ops of the load window, from when they were due. To the right, every nine takes the same room."));
    out.push(Html::element("div", &[("class", "tools"), ("id", "curve-tools")], ""));
    out.push(chart_container("curve", "Percentile curves", "Latency by the share of ops that were quicker, for parts of the ops."));
    out.push(heading("h2", "slowest", "Slowest ops"));
    out.push(super::tables::slowest(subject));
    out.and(Html::element("section", &[("id", "op"), ("aria-live", "polite"), ("tabindex", "-1"), ("hidden", "")], ""))
}

fn chart_container(id: &'static str, title: &'static str, words: &'static str) -> Html {
    let caption =
        Html::element("figcaption", &[], Html::element("b", &[], title).and(" ").and(Html::element("span", &[("class", "dim")], words)));
    let chart = Html::element("div", &[("class", "chart"), ("tabindex", "0"), ("role", "group"), ("aria-label", title)], "");
    Html::element("figure", &[("id", &format!("chart-{id}"))], caption.and(chart)).and(Html::fixed("\n"))
}

/// Returns the filter controls. The scripts fill in the choices.
fn filters(subject: PageInput<'_>) -> Html {
    let menu = |id: &'static str, words: &'static str| {
        Html::element("label", &[], Html::text(words).and(" ").and(Html::element("select", &[("id", id)], "")))
    };
    let mut out = Html::element("span", &[("id", "filter-end"), ("role", "group"), ("aria-label", "Outcomes shown")], "");
    out.push(menu("filter-kind", "kind"));
    out.push(menu("filter-node", "node"));
    out.push(menu("filter-key", "key"));
    let check = Html::open("input", &[("type", "checkbox"), ("id", "all-points")]).and(" a point for every op kept");
    out.push(Html::element("label", &[], check));
    out.push(Html::element("button", &[("type", "button"), ("id", "reset-zoom")], "Reset zoom"));
    let find =
        Html::text("op ").and(Html::open("input", &[("id", "find-op"), ("size", "8"), ("inputmode", "numeric"), ("autocomplete", "off")]));
    out.push(Html::element("form", &[("id", "find")], Html::element("label", &[], find).and(Html::element("button", &[], "Open"))));
    let total = crate::charts::axis::count(subject.history.ops.len() as u64);
    out.and(Html::element("p", &[("id", "shown"), ("class", "dim")], format!("{total} ops.")))
}

/// Returns the images from the run folder, for readers without scripts and for print.
pub(super) fn pictures(subject: PageInput<'_>) -> Html {
    if subject.pictures.is_empty() {
        return Html::default();
    }
    let mut inner = Html::element("summary", &[], "Still pictures of the same run");
    for picture in subject.pictures {
        let source = format!("data:image/png;base64,{}", STANDARD.encode(&picture.png));
        let (width, height) = picture.size();
        let (width, height) = (width.to_string(), height.to_string());
        let image =
            Html::open("img", &[("width", &width), ("height", &height), ("loading", "lazy"), ("alt", picture.alt), ("src", &source)]);
        inner.push(Html::element("figure", &[], image));
    }
    Html::element("details", &[("id", "pictures")], inner)
}
