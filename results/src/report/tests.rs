use super::*;
use crate::sample::{self, Sample};
use crate::{measure, sample_results};

const MARKUP: &str = "<script>alert(1)</script>";

fn page_of(history: &History, results: &Results, nodes: &[NodeFiles]) -> String {
    let measured = measure::analyze(history);
    page(Subject { history, measured: &measured, results, nodes, pictures: &[], rerun: "heckle rerun 'x'" })
}

/// A run whose every name tries to get out of its place.
fn hostile() -> (History, Results) {
    let drawing = "c1  |w 1-->n1  cas 1 2-->n1      |
                   c2  |                   r 1-->n2 |";
    let (header, _, events) = heckle_history::drawn::events(drawing);
    let mut names = heckle_history::Names::default();
    names.key(&format!("key {MARKUP}\"'"));
    names.node(&format!("n1 {MARKUP}"));
    names.node(&format!("n2 {MARKUP}"));
    let mut history = History::from_events(header, names, events).unwrap();
    for detail in &mut history.details {
        detail.reason = Some(format!("reason {MARKUP}<!--").into());
    }
    let mut results = sample_results::violated(&sample::history(Sample::default()));
    results.linearizability.violations[0].key = format!("key {MARKUP}\"'");
    results.linearizability.violations[0].ops = history.ops.iter().map(|op| op.op.0).collect();
    (history, results)
}

#[test]
fn nothing_from_outside_becomes_markup() {
    let (history, results) = hostile();
    let name = format!("n1 {MARKUP}");
    let log = format!("wall=1 mono_ns=5 level=info {MARKUP}\n");
    let nodes = [NodeFiles { name, log, metrics: format!("{{\"mono_ns\":5,\"x\":\"{MARKUP}\"}}\n") }];
    let page = page_of(&history, &results, &nodes);
    assert!(!page.contains("<script>alert"), "a name became markup");
    assert_eq!(page.matches("<script").count(), 3, "data and two scripts of ours");
    assert_eq!(page.matches("</script").count(), 3, "no name ends one");
    assert!(page.matches("&lt;script&gt;").count() > 12, "the names are shown");
    assert!(!page.contains("<!--"));
    let data = page.split_once("id=\"data\">").and_then(|(_, rest)| rest.split_once("</script>")).expect("there").0;
    let data: Json = serde_json::from_str(data).expect("JSON");
    assert_eq!(data["nodes"][0], format!("n1 {MARKUP}"));
    assert_eq!(data["kept"]["reasons"][0], format!("reason {MARKUP}<!--"));
}

#[test]
fn the_counterexample_is_drawn_with_what_it_began_from() {
    let (history, results) = hostile();
    let page = page_of(&history, &results, &[]);
    let drawing = page.split_once("class=\"lanes\"").and_then(|(_, rest)| rest.split_once("</svg>")).expect("there").0;
    assert_eq!(drawing.matches("class=\"op hit\"").count(), 3);
    assert_eq!(drawing.matches("class=\"lane\"").count(), 2);
    assert!(drawing.contains("Before it: the key held 1. After it: it held 2"), "{drawing}");
    assert!(page.contains("Nothing was answered on this key before the story begins"));
}

#[test]
fn a_page_copes_with_a_history_without_anything() {
    let history = History::default();
    let results = Results::default();
    let page = page_of(&history, &results, &[]);
    assert!(page.contains("This history names no nodes."));
}

#[test]
fn log_lines_stand_beside_the_fault_they_belong_to() {
    let mut history = sample::history(Sample::default());
    history.header.mono_origin_ns = Some(1_000);
    let measured = measure::analyze(&history);
    let at = |t: heckle_history::Nanos| t.0 + 1_000;
    let fault = &measured.faults[1];
    let log = format!("wall=1 mono_ns=0 level=info event=early\nwall=2 mono_ns={} level=warn event=struck\n", at(fault.began));
    let nodes = [NodeFiles { name: "n2".into(), log, metrics: String::new() }];
    let page = page_of(&history, &sample_results::valid(&history), &nodes);
    let logs = page.split_once("id=\"logs\"").expect("there").1;
    let (_, mine) = logs.split_once(&format!("fault {}:", fault.id)).expect("there");
    assert!(mine.split_once("</details>").expect("there").0.contains("event=struck"));
    assert!(!logs.contains("event=early"), "what is near no fault is left to the folder");
}
