//! The artifacts of a violation: text, certificate, and a history that is invalid on its own.

mod common;

use common::{DrawParams, cases, random, show, stream};
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

/// Checks the story of the only violation of a drawn history with one fault.
#[track_caller]
fn check_story(drawing: &str, fault: Option<(&str, &[&str], u64, u64)>, story: &str) {
    use heckle_history::event::{FaultEvent, FaultState};
    let mut history = drawn::history(drawing);
    for (op, detail) in history.ops.iter().zip(&mut history.details) {
        detail.client = Some(heckle_history::ClientId(op.process.0 + 1));
    }
    if let Some((kind, targets, from_ms, to_ms)) = fault {
        for (ms, state) in [(from_ms, FaultState::Began), (to_ms, FaultState::Ended)] {
            let evidence = [("count".to_owned(), 1.into())].into();
            let targets = targets.iter().map(|&t| t.to_owned()).collect();
            history.faults.push(FaultEvent { id: 2, t: heckle_history::Nanos::from_ms(ms), kind: kind.into(), targets, state, evidence });
        }
    }
    assert_eq!(only_violation(&history).explanation.story.as_deref().unwrap_or("none"), story);
}

#[test]
fn a_violation_names_the_lost_update_the_fault_and_the_reader() {
    check_story(
        "c1 |w 16-->n1                                              |
         c2 |           cas 16 17-->n2                              |
         c3 |                                          r 16-->n3    |",
        Some(("kill-all", &["n1", "n2", "n3"], 30, 38)),
        "Client c2 changed key k1 from 16 to 17 (op 1), and n2 acknowledged it at 0.022000 s. Then all nodes were killed (n1, n2, n3) at \
         0.030000 s (fault 2, lifted at 0.038000 s). At 0.042000 s client c3 read key k1 through n3 (op 2) and still got 16, the older value \
         that op 0 wrote: the acknowledged update was lost.",
    );
    check_story(
        "c1 |w 1-->n1  w 2-->n1  w 3-->n1                    |
         c2 |                                  r 1-->n2      |
         c2 |                                          r 3-->|",
        None,
        "Client c1 wrote 3 to key k1 (op 2), and n1 acknowledged it at 0.025000 s. No fault came in between. At 0.034000 s client c2 read key \
         k1 through n2 (op 3) and still got 1, the older value that op 0 wrote: the acknowledged update was not seen there, and came back \
         later. In all, 2 acknowledged updates of key k1 were missing, acknowledged from 0.015000 s to 0.025000 s.",
    );
    check_story(
        "c1 |w 1-->n1                          |
         c2 |                cas null 2-->n3   |",
        Some(("partition", &["n1", "n2|n3"], 2, 30)),
        "Client c1 wrote 1 to key k1 (op 0), and n1 acknowledged it at 0.005000 s. Fault 2 (partition on n1, n2|n3) was active from 0.002000 s to \
         0.030000 s. At 0.016000 s client c2 changed key k1 through n3 (op 1) and the CAS succeeded because it still held null, as if \
         it had never been written: the acknowledged update was lost.",
    );
    // A value that no op wrote is not a lost update.
    check_story("c1 |w 1-->  r 7-->|", None, "none");
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
        let history = random(&mut stream("minimal", n), DrawParams { ops: 14, silent: false, fates: true });
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
        // Processes of random histories may have several ops open at once, which the reader rejects.
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
