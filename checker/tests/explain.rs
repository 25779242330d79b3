//! What a violation leaves behind: text, picture, certificate, and a history that is invalid on its own.

mod common;

use common::{Spice, cases, random, show, stream};
use heckle_checker::search::NoSearch;
use heckle_checker::{Checker, Options, Verdict, Violation, explain, judge};
use heckle_history::operation::Keep;
use heckle_history::{History, drawn, writer};

const STALE: &str = "c1      |w 16-->n1                              |
                     c2      |            cas 16 17-->n2             |
                     c3      |                          r 16-->n3    |";

fn only_violation(history: &History) -> Violation {
    let options = Options { checker: Checker::Chain, ..Options::new(&NoSearch) };
    judge(history, &options).linearizability.violations.into_iter().next().expect("it is invalid")
}

#[test]
fn the_text_reads_like_an_explanation() {
    let history = drawn::history(STALE);
    let text = explain::text(&history, &only_violation(&history));
    for part in ["stale_read on key k1", "still read 16", "1. 16 -> 17", "cas 16 -> 17 by n2", "node n3", "refuted these ops again"] {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
}

#[test]
fn the_picture_stands_alone_and_escapes_what_it_shows() {
    let nasty = "</script><img/src=x'\"&>";
    let mut history =
        drawn::history(&STALE.replace("c1      |", "c1@a    |").replace("c2      |", "c2@a    |").replace("c3      |", "c3@a    |"));
    let mut violation = only_violation(&history);
    violation.key = nasty.to_owned();
    violation.explanation.nearby.push(nasty.to_owned());
    let fault = heckle_history::event::FaultEvent {
        id: 1,
        t: heckle_history::Nanos::from_ms(20),
        kind: nasty.into(),
        targets: vec![nasty.to_owned()],
        state: heckle_history::FaultState::Began,
        evidence: [].into(),
    };
    history.faults.push(fault);
    let page = explain::timeline::html(&history, &violation);
    assert!(!page.contains("<img") && !page.contains("</script"), "{page}");
    assert!(page.contains("&lt;/script&gt;&lt;img/src=x&#39;&quot;&amp;&gt;"), "{page}");
    assert!(!page.contains("http") && !page.contains("src=\""), "the page loads nothing: {page}");
    assert!(page.contains("prefers-color-scheme:dark") && page.contains("class=\"band\"") && page.contains("still read 16"), "{page}");
    assert_eq!(page.matches("class=\"op hit\"").count(), 2, "{page}");
}

#[test]
fn the_certificate_names_its_rule() {
    let history = drawn::history(STALE);
    let json = explain::certificate_json(&only_violation(&history));
    let parsed: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(parsed["rule"]["rule"], "backwards", "{json}");
    assert_eq!(parsed["support"], serde_json::json!([1, 2]), "{json}");
}

#[test]
fn the_minimal_history_is_invalid_on_its_own() {
    let (mut bad, mut small) = (0, 0);
    for n in 0..cases(8_000) {
        let history = random(&mut stream("minimal", n), Spice { ops: 14, silent: false, fates: true });
        let options = Options { checker: Checker::Chain, ..Options::new(&NoSearch) };
        let report = judge(&history, &options).linearizability;
        if report.verdict != Verdict::Invalid {
            continue;
        }
        bad += 1;
        let violation = &report.violations[0];
        small += u32::from(violation.ops.len() <= 6);
        let (header, events) = explain::minimal_events(&history, violation);
        let mut file = vec![];
        writer::write_plain(&mut file, &header, &history.names, &events).expect("a Vec takes every write");
        // The liars among the random processes have several ops open at once, which a reader refuses.
        let text = String::from_utf8(file).expect("JSON is UTF-8");
        let again = match History::read(text.as_bytes(), Keep::OpsOnly) {
            Ok(history) => history,
            Err(e) if e.to_string().contains("process") => continue,
            Err(e) => panic!("case {n}: {e}\n{text}"),
        };
        let once_more = judge(&again, &options).linearizability;
        assert_eq!(once_more.verdict, Verdict::Invalid, "case {n}\n{}\n{violation:#?}\n{text}", show(&history));
    }
    assert!(bad > 500 && small * 100 >= bad * 97, "{small} of {bad} have at most six ops");
}
