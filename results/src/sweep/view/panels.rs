//! The contents of a sweep's charts, in the units of the figures: panels with a line per arm. The picture and the page draw the same
//! panels.

use crate::charts::axis::{Scale, Tick, digits, duration};
use crate::sweep::analysis::axis_words::at_words;
use crate::sweep::figures::{
    self, ANSWERED_PER_S, Figure, JAIN, LONGEST_WAIT_MS, P50_MS, P95_MS, P99_MS, Show, UNFINISHED_RATIO, UNKNOWN_RATIO,
};
use crate::sweep::sweep_json::{Point, Spacing, Spread, Sweep};

/// One panel.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Panel {
    /// The title, which states what the vertical axis shows.
    pub(super) title: String,
    /// The horizontal axis.
    pub(super) x: Axis,
    /// The vertical axis.
    pub(super) y: Axis,
    /// A line per arm.
    pub(super) lines: Vec<Line>,
    /// A limit on the vertical axis, with its text.
    pub(super) limit: Option<(f64, String)>,
    /// A dashed line for comparison, such as the target rate, with its text.
    pub(super) reference: Option<(Vec<(f64, f64)>, String)>,
}

/// One axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    /// The label of the axis, with its unit, and `(log)` if the scale is logarithmic.
    pub(super) label: String,
    /// Its scale.
    pub(super) scale: Scale,
    /// Labelled positions.
    pub(super) ticks: Vec<(f64, String)>,
}

/// The curve of one arm.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    /// Index of the arm, which determines its colour.
    pub(super) place: usize,
    /// Its points, in the order of the sweep's axis.
    pub(super) dots: Vec<Dot>,
}

/// One point of a curve.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dot {
    /// The median on the horizontal axis.
    pub(super) x: f64,
    /// The spread on the vertical axis.
    pub(super) y: Spread,
    /// Whether something outside the system under test was the limit.
    pub(super) hollow: bool,
    /// Whether this point is the knee of its arm.
    pub(super) knee: bool,
    /// All its figures as text.
    pub(super) words: String,
}

/// The panels by row of the picture, which has two rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Panels {
    /// Latency over throughput.
    pub(super) latency: Vec<Panel>,
    /// Other figures over the axis of the sweep.
    pub(super) over_axis: Vec<Panel>,
}

/// Returns the panels of a sweep.
pub(super) fn panels(sweep: &Sweep) -> Panels {
    let latency = [(P50_MS, "p50"), (P95_MS, "p95"), (P99_MS, "p99")];
    let has = |figure: &str| sweep.points.iter().any(|p| p.figures.contains_key(figure));
    let scale = latency_scale(sweep);
    let latency = latency.iter().filter(|(figure, _)| has(figure));
    let latency = latency.filter_map(|(figure, name)| Some(over_throughput(sweep, figures::find(figure)?, name, scale))).collect();
    let order = if sweep.design.intents && sweep.design.axis != "rate" {
        [LONGEST_WAIT_MS, JAIN, ANSWERED_PER_S, UNKNOWN_RATIO, UNFINISHED_RATIO]
    } else {
        [ANSWERED_PER_S, UNKNOWN_RATIO, JAIN, LONGEST_WAIT_MS, UNFINISHED_RATIO]
    };
    let over_axis = order.iter().filter(|figure| has(figure)).filter_map(|figure| Some(over_axis(sweep, figures::find(figure)?)));
    Panels { latency, over_axis: over_axis.collect() }
}

/// One scale for all percentiles, so that panels can be compared.
fn latency_scale(sweep: &Sweep) -> Scale {
    let spreads = || sweep.points.iter().flat_map(|p| [P50_MS, P95_MS, P99_MS].into_iter().filter_map(|f| p.figures.get(f)));
    let (min, max) = spreads().fold((f64::MAX, 0f64), |(min, max), s| (min.min(s.min), max.max(s.max)));
    if max > 0.0 { Scale::logarithmic(min * 0.8, max) } else { Scale::logarithmic(1.0, 100.0) }
}

fn over_throughput(sweep: &Sweep, figure: &Figure, name: &str, y: Scale) -> Panel {
    let unit = if sweep.design.intents { "intents" } else { "ops" };
    let most = sweep.points.iter().filter_map(|p| p.figures.get(ANSWERED_PER_S)).map(|s| s.median).fold(0f64, f64::max);
    let x = Scale::from_zero(most);
    Panel {
        title: format!("{name} latency"),
        x: Axis { label: format!("{unit} answered per second"), ticks: ticks(x, 5, digits), scale: x },
        y: Axis { label: "log".into(), ticks: ticks(y, 5, duration), scale: y },
        lines: lines(sweep, figure, |p| p.median(ANSWERED_PER_S)),
        limit: limit(sweep, figure),
        reference: None,
    }
}

fn over_axis(sweep: &Sweep, figure: &Figure) -> Panel {
    let values: Vec<f64> = sweep.points.iter().map(|p| p.value.number).collect();
    let (min, max) = values.iter().fold((f64::MAX, f64::MIN), |(min, max), v| (min.min(*v), max.max(*v)));
    let geometric = sweep.design.spacing == Spacing::Geometric && min > 0.0 && max > min;
    // Leave a little room at both ends to keep marks off the edges.
    let x = if geometric {
        let room = (max / min).powf(0.04);
        Scale::Log { min: min / room, max: max * room }
    } else {
        let room = if max > min { 0.04 * (max - min) } else { 0.5 };
        Scale::Linear { min: min - room, max: max + room }
    };
    let reference = (figure.name == ANSWERED_PER_S && sweep.design.axis == "rate").then(|| {
        let mut asked: Vec<(f64, f64)> = values.iter().map(|v| (*v, *v)).collect();
        asked.sort_by(|a, b| a.0.total_cmp(&b.0));
        (asked, "asked".to_owned())
    });
    let y = value_scale(sweep, figure, reference.is_some());
    let log = if matches!(y, Scale::Log { .. }) { "log" } else { "" };
    let name = match figure.name {
        ANSWERED_PER_S => "answered per second",
        UNKNOWN_RATIO => "unknown outcomes",
        JAIN => "Jain's index (1 is equal)",
        UNFINISHED_RATIO => "intents unfinished at the end",
        _ => figure.what,
    };
    let rate = if sweep.design.axis == "rate" { "asked per second" } else { sweep.design.axis.as_str() };
    Panel {
        title: name.to_owned(),
        x: Axis { label: format!("{rate}{}", if geometric { " (log)" } else { "" }), ticks: axis_ticks(sweep, x), scale: x },
        y: Axis {
            label: log.into(),
            ticks: ticks(y, 5, |v| if figure.show == Show::Index { digits(v) } else { figure.words(v) }),
            scale: y,
        },
        lines: lines(sweep, figure, |p| Some(p.value.number)),
        limit: limit(sweep, figure),
        reference,
    }
}

fn value_scale(sweep: &Sweep, figure: &Figure, beside_asked: bool) -> Scale {
    let spreads = || sweep.points.iter().filter_map(|p| p.figures.get(figure.name));
    let (min, max) = spreads().fold((f64::MAX, f64::MIN), |(min, max), s| (min.min(s.min), max.max(s.max)));
    let asked = sweep.points.iter().map(|p| p.value.number).fold(0f64, f64::max);
    match figure.show {
        _ if beside_asked => Scale::logarithmic(min.max(asked * 1e-4), max.max(asked)),
        Show::Milliseconds if max > 0.0 => Scale::logarithmic(min.max(max * 1e-6) * 0.8, max),
        // Differences near 1 matter, so the axis does not begin at zero.
        Show::Index => Scale::Linear { min: ((min - 0.02).max(0.0) * 10.0).floor() / 10.0, max: 1.0 },
        Show::Share => Scale::from_zero(max.max(0.01)),
        Show::Milliseconds | Show::PerSecond => Scale::from_zero(max),
    }
}

/// Returns the limit of the design on a figure.
fn limit(sweep: &Sweep, figure: &Figure) -> Option<(f64, String)> {
    sweep.design.slo.iter().find_map(|slo| {
        let rest = slo.strip_prefix(figure.name)?;
        let number = rest.trim_start_matches(['<', '>', '=', ' ']).trim().parse().ok()?;
        rest.trim_start().starts_with(['<', '>']).then(|| (number, slo.clone()))
    })
}

fn lines(sweep: &Sweep, figure: &Figure, x: impl Fn(&Point) -> Option<f64>) -> Vec<Line> {
    let dot = |p: &Point| {
        Some(Dot {
            x: x(p)?,
            y: *p.figures.get(figure.name)?,
            hollow: !p.limited_by.is_empty(),
            knee: !sweep.design.find_max && sweep.knees.iter().any(|k| k.arm == p.arm && k.at.as_ref() == Some(&p.value)),
            words: dot_words(sweep, figure, p),
        })
    };
    let line =
        |(place, arm): (usize, &crate::sweep::sweep_json::Arm)| Line { place, dots: sweep.points_of(&arm.name).filter_map(dot).collect() };
    sweep.running_arms().map(line).collect()
}

fn dot_words(sweep: &Sweep, figure: &Figure, p: &Point) -> String {
    let shown = [figures::find(ANSWERED_PER_S), Some(figure).filter(|f| f.name != ANSWERED_PER_S).and_then(|f| figures::find(f.name))];
    let each = shown.into_iter().flatten().filter_map(|f| Some(format!("{} {}", f.what, f.spread_words(*p.figures.get(f.name)?))));
    let limits: Vec<&str> = p.limited_by.keys().map(String::as_str).collect();
    let hollow = if limits.is_empty() { String::new() } else { format!("; limited by {}", limits.join(", ")) };
    format!("{} at {}: {}{hollow}", p.arm, at_words(sweep, &p.value.text), each.collect::<Vec<_>>().join(", "))
}

/// Returns labelled positions at round values. A logarithmic scale of less than two decades is also labelled at 2 and 5.
fn ticks(scale: Scale, wanted: usize, words: impl Fn(f64) -> String) -> Vec<(f64, String)> {
    let all = scale.ticks(wanted);
    let decades = all.iter().filter(|t| matches!(t, Tick::Major(_))).count();
    let labelled = |tick: Tick| match tick {
        Tick::Major(v) => Some(v),
        Tick::Minor(v) => {
            let leading = (v / 10f64.powf(v.log10().floor())).round();
            (decades < 3 && (leading == 2.0 || leading == 5.0)).then_some(v)
        }
    };
    all.into_iter().filter_map(labelled).map(|v| (v, words(v))).collect()
}

/// Returns labels at the values of the sweep, without those that would be too close to a neighbour.
fn axis_ticks(sweep: &Sweep, scale: Scale) -> Vec<(f64, String)> {
    let mut values: Vec<(f64, String)> = vec![];
    for p in &sweep.points {
        if !values.iter().any(|(v, _)| *v == p.value.number) {
            let words = if sweep.design.axis == "rate" { digits(p.value.number) } else { p.value.text.clone() };
            values.push((p.value.number, words));
        }
    }
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut kept: Vec<(f64, String)> = vec![];
    for (v, words) in values {
        // Room for half of each label and a gap, as a share of the axis.
        let room = |other: &str| 0.011 * (words.chars().count() + other.chars().count()) as f64 + 0.03;
        if kept.last().is_none_or(|(last, other)| scale.place(v) - scale.place(*last) >= room(other)) {
            kept.push((v, words));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::sample;

    #[test]
    fn a_sweep_over_the_rate_shows_latency_over_throughput() {
        let sweep = sample::sweep(&["a", "b"], 3);
        let panels = panels(&sweep);
        assert_eq!(panels.latency.iter().map(|p| p.title.as_str()).collect::<Vec<_>>(), ["p50 latency", "p95 latency", "p99 latency"]);
        assert_eq!(panels.over_axis.iter().map(|p| p.title.as_str()).collect::<Vec<_>>(), ["answered per second", "unknown outcomes"]);
        let p99 = &panels.latency[2];
        assert_eq!(p99.limit, Some((50.0, "p99_ms<50".into())));
        assert_eq!(panels.latency[0].limit, None, "the limit belongs to one panel");
        assert_eq!(p99.lines.len(), 2);
        for line in &p99.lines {
            assert_eq!((line.dots.len(), line.dots.iter().filter(|d| d.knee).count()), (5, 1), "five rates, one knee");
            assert!(line.dots.iter().all(|d| d.y.min <= d.y.median && d.y.median <= d.y.max && d.y.n == 3));
        }
        assert!(panels.over_axis[0].reference.is_some(), "the asked rate is drawn beside the answered one");
    }

    #[test]
    fn a_sweep_over_clients_shows_waits_first() {
        let panels = panels(&sample::contention(&["off", "priority"], 3));
        let titles: Vec<&str> = panels.over_axis.iter().map(|p| p.title.as_str()).collect();
        assert_eq!(
            titles,
            ["longest wait", "Jain's index (1 is equal)", "answered per second", "unknown outcomes", "intents unfinished at the end"]
        );
        assert!(panels.over_axis[0].reference.is_none() && panels.over_axis[2].reference.is_none());
        let labels: Vec<&str> = panels.over_axis[0].x.ticks.iter().map(|(_, words)| words.as_str()).collect();
        assert_eq!(labels, ["1", "2", "4", "8", "16", "32"]);
    }

    #[test]
    fn labels_of_the_axis_never_overlap() {
        let mut sweep = sample::sweep(&["a"], 1);
        for (i, point) in sweep.points.iter_mut().enumerate() {
            point.value.number = 100_000.0 + i as f64;
        }
        let ticks = axis_ticks(&sweep, Scale::Log { min: 100.0, max: 100_010.0 });
        assert_eq!(ticks.len(), 1, "{ticks:?}");
    }

    #[test]
    fn an_empty_sweep_has_panels_without_points() {
        let mut sweep = sample::sweep(&["a"], 1);
        sweep.runs.clear();
        let sweep = crate::sweep::conclude::summarize(sweep);
        let panels = panels(&sweep);
        assert!(panels.latency.is_empty() && panels.over_axis.is_empty());
    }
}
