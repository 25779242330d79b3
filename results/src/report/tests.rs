use super::*;
use crate::sample::{self, Sample};
use crate::{measure, sample_results};

const MARKUP: &str = "<script>alert(1)</script>";

fn page_of(history: &History, results: &Results, nodes: &[NodeFiles]) -> String {
    let measured = measure::analyze(history);
    page(PageInput { history, measured: &measured, results, nodes, pictures: &[], rerun: "heckle rerun 'x'" })
}

/// Returns a run in which every name tries to escape into markup.
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
    assert!(page.contains("No operation on this key completed before this"));
}

#[test]
fn a_page_copes_with_a_history_without_anything() {
    let history = History::default();
    let results = Results::default();
    let page = page_of(&history, &results, &[]);
    assert!(page.contains("This history names no nodes."));
}

/// Returns the rows of the table below a heading, as the text of their cells.
fn rows(page: &str, id: &str) -> Vec<Vec<String>> {
    let (_, rest) = page.split_once(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no section {id}"));
    let body = rest.split_once("<tbody>").and_then(|(_, rest)| rest.split_once("</tbody>")).expect("a table").0;
    let cells = |row: &str| row.split("<td").skip(1).map(words_of).collect();
    body.split("<tr").skip(1).map(cells).collect()
}

/// Returns the text of a cell, without tags.
fn words_of(cell: &str) -> String {
    let inside = cell.split_once('>').map_or("", |(_, inside)| inside);
    inside.split('<').enumerate().map(|(i, part)| if i == 0 { part } else { part.split_once('>').map_or("", |(_, words)| words) }).collect()
}

#[test]
fn fairness_names_who_starved_and_at_which_coordinator() {
    let drawing = "c1  |cas null 1 i1-->n1                       cas 2 3 i2-->n1                       cas 4 5 i3-->n1 |
                   c2  |                     cas 1 2 i4-->n2                       cas 3 4 i5-->n2                       |
                   c3  |                        cas null 9 i6 saw 1-->n3  cas null 8 i6 saw 2-->n3                        |";
    let history = heckle_history::drawn::history(drawing);
    let mut results = sample_results::valid(&sample::history(Sample::default()));
    results.set_measured(&measure::analyze(&history), &history);
    let page = page_of(&history, &results, &[]);
    let figures = rows(&page, "fairness");
    let figure = |name: &str| &figures.iter().find(|r| r[0] == name).unwrap_or_else(|| panic!("no {name}: {figures:?}"))[1];
    assert_eq!([figure("intents"), figure("won in the load window"), figure("won after it")], ["6", "4", "1"]);
    assert_eq!(figure("never won: given up, or waiting at the end"), "1");
    assert_eq!(figure("whose"), "c3 at n3 for k1");
    let nodes = rows(&page, "by-node");
    let starved = nodes.iter().find(|r| r[0] == "n3").expect("n3");
    assert_eq!(starved[1..5], ["1", "0", "0", "1"], "intents, won, won after the load, never won");
    assert!(page.contains("<span class=\"bad\">0</span>"), "what is under a quarter of the best is marked");
    assert_eq!(rows(&page, "by-client")[0][..2], ["c3", "n3"], "the least served first, beside its node");
    assert_eq!(rows(&page, "by-key")[0][..2], ["k1", "n1"]);
    // A load without intents has none of these figures, and the page does not mention them.
    let plain = sample::history(Sample { seconds: 2, faults: 0, ..Sample::default() });
    let mut results = sample_results::valid(&plain);
    results.set_measured(&measure::analyze(&plain), &plain);
    assert!(!page_of(&plain, &results, &[]).contains("by-node"));
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
