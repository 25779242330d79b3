//! Figures that a system reports about an operation: described by the header, stored by name, and also read from
//! histories without a description.

use heckle_history::names::MAX_FIGURES;
use heckle_history::operation::{History, Keep};
use heckle_history::writer::write_plain;
use heckle_history::{Event, Figure, Measure};

const DESCRIBED: &str = r#"{"schema":"heckle.history/1","figures":[
    {"name":"tries","unit":"count","about":"attempts it took","measure":"attempts"},
    {"name":"stage","unit":"text","about":"how far it got"},
    {"name":"waited_ns","unit":"ns","about":"time spent waiting","measure":"backoff"}]}"#;

/// Returns a history of one read whose completion has these additional fields.
fn file(header: &str, fields: &str) -> String {
    let header = header.replace('\n', "");
    let invoke = r#"{"e":"invoke","op":0,"process":0,"t":5,"key":"k1","f":"read"}"#;
    format!("{header}\n{invoke}\n{{\"e\":\"ok\",\"op\":0,\"t\":9,\"f\":\"read\",\"value\":null{fields}}}\n")
}

fn read(header: &str, fields: &str) -> History {
    History::read(file(header, fields).as_bytes(), Keep::Details).expect("a history")
}

#[track_caller]
fn refused(header: &str, fields: &str, what: &str) {
    let error = History::read(file(header, fields).as_bytes(), Keep::OpsOnly).expect_err("it is no history").to_string();
    assert!(error.contains(what), "{error}");
}

/// Returns the figures of the only operation, by name.
fn figures(history: &History) -> Vec<(String, Figure<'_>)> {
    let reported = history.details[0].diagnostics.as_ref().into_iter().flat_map(|d| d.iter());
    reported.map(|(id, figure)| (history.names.figure_info(id).name.to_string(), figure)).collect()
}

#[test]
fn a_described_figure_is_found_by_name_and_by_measure() {
    let history = read(DESCRIBED, r#","waited_ns":70000,"tries":3,"stage":"done""#);
    let expected = [("waited_ns", Figure::Number(70_000)), ("tries", Figure::Number(3)), ("stage", Figure::from("done"))];
    assert_eq!(figures(&history), expected.map(|(name, figure)| (name.to_owned(), figure)), "in the order of the line");
    let reported = history.details[0].diagnostics.as_ref().expect("figures");
    let measured = |measure| history.names.reads(measure)(reported);
    assert_eq!((measured(Measure::Attempts), measured(Measure::Backoff), measured(Measure::Repairs)), (Some(3), Some(70_000), None));
    assert_eq!(history.names.figure_info(history.names.find_figure("tries").expect("described")).about, "attempts it took");
}

#[test]
fn a_figure_must_be_of_its_unit() {
    refused(DESCRIBED, r#","tries":"three""#, "line 3: figure `tries` is not a whole number");
    refused(DESCRIBED, r#","tries":2.5"#, "figure `tries` is not a whole number");
    refused(DESCRIBED, r#","stage":4"#, "figure `stage` is not a text");
    refused(DESCRIBED, r#","tries":1,"tries":2"#, "figure `tries` comes twice");
    assert_eq!(read(DESCRIBED, r#","tries":null"#).details[0].diagnostics, None, "null is absent");
}

#[test]
fn no_figure_has_the_name_of_a_field() {
    for name in ["t", "value", ""] {
        let header = format!(r#"{{"schema":"heckle.history/1","figures":[{{"name":"{name}","unit":"count","about":""}}]}}"#);
        refused(&header, "", "line 1: `");
    }
    refused(&DESCRIBED.replace("stage", "tries"), "", "line 1: figure `tries` comes twice");
}

#[test]
fn histories_without_a_description_have_the_figures_that_there_were() {
    let old =
        r#","rounds":3,"round_trips":8,"promises":2,"preempted":2,"repairs":1,"backoff_ns":70000,"phase":"done","op_id":"7/1","more":[1]"#;
    let history = read(r#"{"schema":"heckle.history/1"}"#, old);
    let reported = history.details[0].diagnostics.as_ref().expect("figures");
    let of = |measure| history.names.reads(measure)(reported);
    let all = [Measure::Attempts, Measure::RoundTrips, Measure::Preemptions, Measure::Repairs, Measure::Backoff].map(of);
    assert_eq!(all, [3, 8, 2, 1, 70_000].map(Some));
    let text = |name| reported.text(history.names.find_figure(name)?).map(|text| text.into_owned());
    assert_eq!((text("phase").as_deref(), text("op_id").as_deref()), (Some("done"), Some("7/1")));
    let names: Vec<String> = figures(&history).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), 8, "what is neither a number nor a text is skipped: {names:?}");
    // A figure without a description may have any type.
    assert_eq!(figures(&read(r#"{"schema":"heckle.history/1"}"#, r#","promises":"two""#))[0].1, Figure::from("two"));
}

#[test]
fn a_history_read_and_written_is_the_same() {
    for (header, fields) in [
        (DESCRIBED, r#","tries":3,"stage":"done","waited_ns":0"#),
        (r#"{"schema":"heckle.history/1"}"#, r#","rounds":3,"promises":2,"phase":"done""#),
    ] {
        let file = file(header, fields);
        let mut reader = heckle_history::reader::Reader::new(file.as_bytes()).expect("a header");
        let mut events: Vec<Event> = vec![];
        while let Some(event) = reader.next_event().expect("an event") {
            events.push(event);
        }
        let mut out = vec![];
        write_plain(&mut out, reader.header(), reader.names(), &events).expect("a Vec takes everything");
        let out = String::from_utf8(out).expect("JSON");
        assert!(out.contains(&format!("{fields}}}")), "{out}");
        assert_eq!(out.contains("attempts it took"), header == DESCRIBED, "the description goes with it: {out}");
    }
}

#[test]
fn undescribed_figures_have_a_bound() {
    let fields: String = (0..MAX_FIGURES + 50).map(|i| format!(",\"x{i}\":{i}")).collect();
    let history = read(r#"{"schema":"heckle.history/1"}"#, &fields);
    let kept = figures(&history).len();
    assert!(kept > MAX_FIGURES / 2 && kept < MAX_FIGURES, "{kept}");
}
