use super::*;
use crate::measure;
use heckle_history::drawn;
use heckle_history::event::{FaultEvent, FaultState};

const NASTY: &str = "</script><img/src=x'\"&>";

fn stale() -> (History, Violation) {
    let history = drawn::history(
        "c1      |w 16-->n1                              |
         c2      |            cas 16 17-->n2             |
         c3      |                          r 16-->n3    |",
    );
    let judged = heckle_checker::judge(&history, &heckle_checker::Options::new(&heckle_checker::InProcess));
    let violation = Violation::from(&judged.linearizability.violations[0]);
    (history, violation)
}

fn page(history: &History, violation: &Violation) -> String {
    let measured = measure::analyze(history);
    Subject { history, measured: &measured, report: "../../report.html" }.page(violation)
}

#[test]
fn the_page_stands_alone_and_has_drawing_and_steps_without_scripts() {
    let (history, violation) = stale();
    let page = page(&history, &violation);
    assert_eq!(page.matches("<svg class=\"a-").count(), 2, "wide and narrow");
    assert_eq!(page.matches("<g class=\"a-op\"").count(), 2 * 3, "{page}");
    assert!(page.contains("k1 = null at the beginning") && page.contains("No step is possible now."), "{page}");
    assert!(page.contains("it found 16, but k1 holds 17"), "{page}");
    assert!(page.contains("prefers-color-scheme:dark") && page.contains("media print"), "{page}");
    let outside = page.replace("http://www.w3.org", "");
    assert!(!outside.contains("http:") && !outside.contains("https:") && !outside.contains("src=\""), "the page loads nothing");
    assert!(page.contains("href=\"../../report.html#op="), "the lanes lead to the report");
}

#[test]
fn nothing_from_a_history_becomes_markup() {
    let (mut history, mut violation) = stale();
    let fault = FaultEvent {
        id: 1,
        t: Nanos::from_ms(20),
        kind: NASTY.into(),
        targets: vec![NASTY.to_owned()],
        state: FaultState::Began,
        evidence: [("count".to_owned(), 1.into())].into(),
    };
    history.faults.push(fault);
    violation.nearby.push(NASTY.to_owned());
    violation.meaning = NASTY.to_owned();
    let page = page(&history, &violation);
    assert!(!page.contains("<img"), "{page}");
    assert!(page.contains("&lt;/script&gt;&lt;img/src=x&#39;&quot;&amp;&gt;"), "{page}");
}

#[test]
fn a_violation_without_ops_is_said_in_words() {
    let (history, mut violation) = stale();
    violation.ops.clear();
    let page = page(&history, &violation);
    assert!(page.contains(&violation.words.replace('>', "&gt;")) && page.contains("nothing to draw"), "{page}");
    assert!(!page.contains("<svg class=\"a-"));
}

#[test]
fn the_image_is_as_large_as_the_argument_needs() {
    let size = |png: &[u8]| (u32::from_be_bytes(png[16..20].try_into().unwrap()), u32::from_be_bytes(png[20..24].try_into().unwrap()));
    let (history, violation) = stale();
    let argument = of_violation(&history, &violation).expect("its ops are there");
    let (width, height) = size(&png(&argument));
    assert_eq!(width, 1280);
    let mut more = argument.clone();
    more.ops.extend(argument.ops.clone());
    assert!(size(&png(&more)).1 > height + 150 && height > 250, "{height}");
    assert_eq!(png(&argument), png(&argument), "the same every time");
}

#[test]
fn a_crash_is_drawn_with_its_mark() {
    let (history, _) = stale();
    let measured = measure::analyze(&history);
    let crash = Crash {
        id: 1,
        node: "n2".into(),
        t_s: 0.03,
        how: "signal 6".into(),
        words: "n2 crashed at 0.030000 s (signal 6)".into(),
        ..Crash::default()
    };
    let page = Subject { history: &history, measured: &measured, report: "r.html" }.crash_page(&crash);
    assert!(page.contains("n2 crashed at 0.030 s (signal 6)") && page.contains("class=\"a-moment\""), "{page}");
    assert!(!png(&of_crash(&history, &crash)).is_empty());
}
