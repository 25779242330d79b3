use super::*;
use crate::live_json::{LiveFault, Point};
use crate::sample::{self, Sample};
use serde_json::json;

/// A sample: name, labels, value.
type Line = (String, BTreeMap<String, String>, f64);

/// Parses an exposition by the rules of the text format. Panics on any violation.
fn parse(text: &str) -> Vec<Line> {
    let (mut lines, mut typed, mut helped) = (vec![], BTreeMap::new(), BTreeMap::new());
    assert!(text.ends_with('\n') && !text.contains("\n\n"), "{text}");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help text");
            assert!(!help.is_empty() && helped.insert(name.to_owned(), help).is_none(), "one help for each family: {line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert!(helped.contains_key(name) && ["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(typed.insert(name.to_owned(), kind.to_owned()).is_none(), "one type for each family: {line}");
        } else {
            let parsed = sample_line(line);
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| parsed.0.strip_suffix(suffix))
                .filter(|base| typed.get(*base).is_some_and(|k| k == "histogram"));
            let family = base.unwrap_or(&parsed.0);
            assert_eq!(typed.keys().last().map(|_| typed.contains_key(family)), Some(true), "a type before its samples: {line}");
            assert_eq!(typed[family] == "counter", family.ends_with("_total"), "counters end with _total: {line}");
            lines.push(parsed);
        }
    }
    let mut ids: Vec<String> = lines.iter().map(|(name, labels, _)| format!("{name}{labels:?}")).collect();
    ids.sort();
    assert!(ids.windows(2).all(|w| w[0] != w[1]), "no sample twice");
    lines
}

fn sample_line(line: &str) -> Line {
    let (name, rest) = line.split_once('{').expect("labels");
    assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{line}");
    let (mut labels, mut chars) = (BTreeMap::new(), rest.chars());
    loop {
        let label: String = chars.by_ref().take_while(|c| *c != '=').collect();
        assert!(label.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') && chars.next() == Some('"'), "{line}");
        let mut value = String::new();
        loop {
            match chars.next().unwrap_or_else(|| panic!("an open quote: {line}")) {
                '"' => break,
                '\\' => value.push(match chars.next() {
                    Some('\\') => '\\',
                    Some('"') => '"',
                    Some('n') => '\n',
                    other => panic!("no such escape, {other:?}: {line}"),
                }),
                c => value.push(c),
            }
        }
        assert!(labels.insert(label, value).is_none(), "{line}");
        match chars.next() {
            Some(',') => {}
            Some('}') => break,
            other => panic!("{other:?}: {line}"),
        }
    }
    let value = chars.as_str().strip_prefix(' ').unwrap_or_else(|| panic!("{line}"));
    (name.to_owned(), labels, value.parse().unwrap_or_else(|_| panic!("{line}")))
}

fn sum(lines: &[Line], name: &str, label: &str, value: &str) -> f64 {
    lines
        .iter()
        .filter(|(n, labels, _)| n == name && (label.is_empty() || labels.get(label).is_some_and(|v| v == value)))
        .map(|l| l.2)
        .sum()
}

/// Checks that buckets are cumulative, that the last one contains all samples, and that the sum fits the bounds.
fn check_histograms(lines: &[Line]) {
    let mut before: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for (name, labels, value) in lines.iter().filter(|l| l.0.ends_with("_bucket")) {
        let op = labels["op"].clone();
        let le: f64 = labels["le"].parse().expect("a number, or +Inf");
        let (last_le, last) = before.insert(op, (le, *value)).unwrap_or((-1.0, 0.0));
        assert!(le > last_le && *value >= last, "{name} {labels:?}");
    }
    assert!(!before.is_empty());
    for (op, (le, all)) in before {
        assert_eq!(le, f64::INFINITY);
        assert_eq!(sum(lines, "heckle_op_latency_seconds_count", "op", &op), all);
        assert!(sum(lines, "heckle_op_latency_seconds_sum", "op", &op) > 0.0);
    }
}

#[test]
fn a_finished_run_is_valid_text_and_agrees_with_its_history() {
    let history = sample::history(Sample::default());
    let measured = crate::analyze(&history);
    let mut results = Results { status: Status::Done, verdict: RunVerdict::Invalid, exit_code: 1, ..Results::default() };
    results.set_measured(&measured, &history);
    results.plan.name = "a \"plan\" \\ with\nlines\u{1b}".into();
    results.run_id = "20260101T000000Z-0001".into();
    results.started_utc = "2026-01-01T00:00:00Z".into();
    let nodes = [("n1".to_owned(), json!({"keys": 4, "state_bytes": {"data": 10}, "up": true, "list": [1], "name": "x"}))];
    let text = of_run(&results, Some(&history), &nodes);
    let lines = parse(&text);
    assert!(lines.iter().all(|l| l.1["plan"] == "a \"plan\" \\ with\nlines\u{fffd}" && l.1["run"] == results.run_id), "{text}");
    let ok = history.ops.iter().filter(|op| matches!(op.outcome, Outcome::Ok(_))).count();
    assert_eq!(sum(&lines, "heckle_op_latency_seconds_count", "", ""), ok as f64);
    assert_eq!(sum(&lines, "heckle_ops_total", "", ""), history.ops.len() as f64);
    assert_eq!(sum(&lines, "heckle_ops_total", "outcome", "unknown"), results.ops.unknown as f64);
    assert_eq!(sum(&lines, "heckle_ops_invoked_total", "", ""), results.ops.invoked as f64);
    assert_eq!((sum(&lines, "heckle_run_verdict", "verdict", "invalid"), sum(&lines, "heckle_run_verdict", "", "")), (1.0, 1.0));
    assert_eq!(sum(&lines, "heckle_run_start_timestamp_seconds", "", ""), 1_767_225_600.0);
    assert_eq!(sum(&lines, "heckle_faults_total", "", ""), results.faults.len() as f64);
    assert_eq!(sum(&lines, "heckle_node_figure", "figure", "state_bytes.data"), 10.0);
    assert_eq!(lines.iter().filter(|l| l.0 == "heckle_node_figure").count(), 3, "a list and a word are no figures");
    check_histograms(&lines);
    // A history without a results.json still yields its ops.
    let alone = parse(&of_history(&history));
    assert_eq!(sum(&alone, "heckle_ops_total", "", ""), history.ops.len() as f64);
    check_histograms(&alone);
}

#[test]
fn a_run_in_progress_has_no_verdict_yet() {
    let mut results = Results::default();
    results.plan.name = "plan".into();
    let mut latency = Buckets::default();
    latency.add(heckle_history::Nanos::from_ms(3));
    let live = LiveRun {
        target_per_s: Some(400.0),
        ops: [("cas".to_owned(), LiveOps { invoked: 9, applied: 3, condition_not_met: 2, failed: 1, unknown: 1 })].into(),
        latency: [("cas".to_owned(), latency)].into(),
        points: vec![Point::default()],
        faults: vec![
            LiveFault { label: "kill n1".into(), began_s: 1.0, ended_s: Some(2.0) },
            LiveFault { label: "kill n2".into(), began_s: 3.0, ended_s: None },
        ],
        judge: JudgeState::NoViolation,
        ..LiveRun::default()
    };
    let lines = parse(&of_live(&results, &live, &[]));
    assert_eq!(sum(&lines, "heckle_ops_in_flight", "", ""), 2.0);
    assert_eq!((sum(&lines, "heckle_run_verdict", "", ""), sum(&lines, "heckle_run_state", "state", "running")), (0.0, 1.0));
    assert_eq!((sum(&lines, "heckle_faults_total", "kind", "kill"), sum(&lines, "heckle_faults_active", "", "")), (2.0, 1.0));
    assert_eq!(sum(&lines, "heckle_violations", "", ""), 0.0);
    assert!(!lines.iter().any(|l| l.0 == "heckle_run_exit_code"));
    check_histograms(&lines);
}

#[test]
fn a_torn_sample_is_skipped() {
    assert_eq!(last_sample("{\"a\":1}\n{\"a\":2}\n{\"a\":"), Some(json!({"a": 2})));
    assert_eq!((last_sample(""), last_sample("{")), (None, None));
}

/// Collects every expression in a dashboard object.
fn expressions(value: &Json, found: &mut Vec<String>) {
    match value {
        Json::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Json::String(text) if ["expr", "definition", "query"].contains(&name.as_str()) => found.push(text.clone()),
                    other => expressions(other, found),
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

/// Returns the names in an expression that are not exported figures, and the labels in it that no figure has.
fn mistakes(expression: &str) -> Vec<String> {
    let mut wrong = vec![];
    let words = || expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|w| !w.is_empty());
    let base = |word: &str| {
        ["_bucket", "_sum", "_count"].iter().find_map(|s| word.strip_suffix(s)).and_then(family).filter(|f| f.kind == FamilyKind::Histogram)
    };
    wrong.extend(words().filter(|w| w.starts_with("heckle_") && family(w).is_none() && base(w).is_none()).map(str::to_owned));
    let exported: Vec<&str> = FAMILIES.iter().flat_map(|f| f.labels).copied().chain(COMMON_LABELS).chain(["le"]).collect();
    let in_braces = expression.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let matched = in_braces.flat_map(|inner| inner.split(',')).filter_map(|pair| pair.split(['=', '!']).next());
    let grouped = expression.split("by (").skip(1).filter_map(|rest| rest.split(')').next()).flat_map(|inner| inner.split(','));
    wrong.extend(matched.chain(grouped).map(str::trim).filter(|label| !exported.contains(label)).map(str::to_owned));
    wrong
}

#[test]
fn the_dashboard_asks_for_exported_figures_only() {
    let text = include_str!("../../../docs/grafana.json");
    let dashboard: Json = serde_json::from_str(text).expect("JSON");
    let mut found = vec![];
    expressions(&dashboard, &mut found);
    assert!(found.len() > 10, "{found:?}");
    for expression in &found {
        assert_eq!(mistakes(expression), Vec::<String>::new(), "{expression}");
    }
    let asked = |family: &&Family| found.iter().any(|e| e.contains(family.name));
    let missing: Vec<&str> = FAMILIES.iter().filter(|f| !asked(f)).map(|f| f.name).collect();
    // These figures are used as labels in the dashboard, or need no chart.
    assert_eq!(missing, ["heckle_run_exit_code", "heckle_run_start_timestamp_seconds"]);
    // The dashboard must be portable: it contains no address and no data source of a particular installation.
    assert!(!text.contains("http") && dashboard["uid"] == "heckle-run");
    assert_eq!(mistakes("sum by (node) (rate(heckle_ops_totals{plan=\"x\",host=\"y\"}[1m]))"), ["heckle_ops_totals", "host"]);
}
