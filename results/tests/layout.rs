//! No text in any picture is cut off or covers another text, whatever the run was like.

use heckle_history::{History, Names, Nanos, NodeIx, drawn};
use heckle_results::charts::audit::{self, Sheet};
use heckle_results::charts::canvas::Canvas;
use heckle_results::charts::{self, Caption, Scene, frame, style};
use heckle_results::compare::charts as comparison_charts;
use heckle_results::compare::sample::{self as compare_sample, LEASE_ARMS, STATE_ARMS, SampleArm};
use heckle_results::results_json::RunVerdict;
use heckle_results::sample::{self, Sample};
use heckle_results::{analyze, series};
use plotters::style::text_anchor::{HPos, VPos};

#[track_caller]
fn holds(name: &str, history: &History, caption: &Caption, violations: &[(f64, u32)]) {
    let (measured, series) = (analyze(history), series::of(history));
    let (pictures, sheets) = audit::record(|| charts::draw(Scene { history, measured: &measured, series: &series, caption, violations }));
    assert!(sheets.len() >= pictures.len(), "{name}: every picture is recorded");
    assert_eq!(sheets.iter().filter(|sheet| !sheet.texts.is_empty()).count(), pictures.len(), "{name}: every picture has text");
    no_complaints(name, &sheets);
}

#[track_caller]
fn no_complaints(name: &str, sheets: &[Sheet]) {
    let complaints: Vec<String> = sheets
        .iter()
        .flat_map(|sheet| {
            let shows = sheet.texts.iter().map(|t| t.words.as_str()).find(|words| words.len() > 24).unwrap_or_default();
            sheet.complaints().into_iter().map(move |c| format!("{shows}: {c}"))
        })
        .collect();
    assert!(complaints.is_empty(), "{name}: {} complaints\n{}", complaints.len(), complaints.join("\n"));
}

fn caption() -> Caption {
    Caption { plan: "cas-register".into(), seed: "0x7".into(), verdict: Some(RunVerdict::Valid) }
}

/// Returns a caption of maximum length.
fn long_caption() -> Caption {
    Caption { plan: "a-plan-with-a-name-".repeat(9), seed: "0xffffffffffffffff".into(), verdict: Some(RunVerdict::GateMissed) }
}

/// Spreads the ops of a history over this many nodes with long names.
fn over_nodes(mut history: History, count: u16) -> History {
    let mut names = Names::default();
    for (_, key) in history.names.keys() {
        names.key(key);
    }
    for node in 1..=count {
        names.node(&format!("node-{node}.example"));
    }
    names.declare_figures(history.header.figures.as_deref().unwrap_or_default()).expect("they were declared before");
    history.names = names;
    for (i, (op, detail)) in (0u16..=u16::MAX).cycle().zip(history.ops.iter_mut().zip(&mut history.details)) {
        let node = Some(NodeIx(i % count));
        (op.node, detail.sent_to) = (node, node);
    }
    history
}

#[test]
fn no_time_and_one_op() {
    holds("nothing", &History::default(), &caption(), &[]);
    holds("one op", &drawn::history("c1 |w 1-->|"), &caption(), &[(0.002, 1)]);
    holds("open ops", &drawn::history("c1 |w 1-----|\nc2 |cas 1 2--?|"), &long_caption(), &[]);
}

#[test]
fn no_fault_and_three() {
    holds("no fault", &sample::history(Sample { faults: 0, ..Sample::default() }), &caption(), &[]);
    let history = sample::history(Sample::default());
    holds("three faults", &history, &long_caption(), &[(0.0, 1), (12.0, 2), (12.01, 3), (history.end.as_secs_f64(), 4)]);
}

#[test]
fn forty_faults() {
    let mut history = sample::history(Sample { faults: 40, rate_per_s: 100, ..Sample::default() });
    holds("forty faults", &history, &caption(), &[(20.0, 1)]);
    history.faults.iter_mut().for_each(|fault| fault.evidence.clear());
    holds("forty faults without effect", &history, &caption(), &[]);
    // Move all faults to the same time, so that their bars share rows and some have no room for a number.
    history.faults.iter_mut().for_each(|fault| fault.t = Nanos(fault.t.0 % 3_000_000_000 + 10_000_000_000));
    history.faults.sort_by_key(|fault| fault.t);
    holds("forty faults at once", &history, &caption(), &[]);
}

#[test]
fn fifteen_nodes() {
    let mut history = over_nodes(sample::history(Sample::default()), 15);
    let target = "node-1.example,node-2.example,node-3.example|node-4.example";
    history.faults.iter_mut().for_each(|fault| fault.targets = vec![target.into()]);
    holds("fifteen nodes", &history, &caption(), &[]);
}

#[test]
fn two_hours() {
    holds("two hours", &sample::history(Sample { seconds: 7_200, rate_per_s: 2, faults: 12, ..Sample::default() }), &caption(), &[]);
}

#[test]
fn a_million_ops() {
    let history = sample::history(Sample { rate_per_s: 10_000, faults: 20, seconds: 100, ..Sample::default() });
    assert!(history.ops.len() > 1_000_000);
    holds("a million ops", &history, &caption(), &[(50.0, 1)]);
}

#[test]
fn intents() {
    let drawing = "c1  |cas null 1 i1-->n1                       cas 2 3 i2-->n1                       cas 4 5 i3-->n1 |
                   c2  |                     cas 1 2 i4-->n2                       cas 3 4 i5-->n2                       |
                   c3  |                        cas null 9 i6 saw 1-->n3  cas null 8 i6 saw 2-->n3                        |";
    holds("intents", &drawn::history(drawing), &caption(), &[]);
}

#[test]
fn comparisons() {
    let arm = |name| SampleArm { name, setting: ("key", "value"), ratio: 0.8, starved: 0.1 };
    let six = ["off", "a-setting-with-a-long-name", "another-one-with-a-long-name", "priority", "read", "six"].map(arm);
    for arms in [&LEASE_ARMS[..2], &STATE_ARMS[..], &six[..]] {
        let comparison = compare_sample::comparison(arms, 10);
        let (pictures, sheets) = audit::record(|| comparison_charts::draw(&comparison));
        assert!(sheets.len() >= pictures.len());
        no_complaints(arms[0].name, &sheets);
    }
}

#[test]
fn an_overlap_and_a_cut_would_be_found() {
    let ((), sheets) = audit::record(|| {
        style::register_fonts();
        let mut canvas = Canvas::new();
        let area = canvas.area();
        let text = frame::text_style(style::LABEL, style::INK, HPos::Left, VPos::Top);
        frame::text(&area, (100, 100), "one label", &text);
        frame::text(&area, (130, 104), "another label", &text);
        frame::text(&area, (1_240, 300), "cut off at the edge", &text);
    });
    let complaints = sheets[0].complaints();
    assert!(complaints.len() == 2 && complaints[0].contains("overlaps") && complaints[1].contains("leaves"), "{complaints:?}");
}
