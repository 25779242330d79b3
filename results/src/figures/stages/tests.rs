use super::*;
use crate::measure::analyze;
use crate::results_json::Results;
use heckle_history::event::{Completion, Event, Header, Invoke};
use heckle_history::{Call, Names, OpId, ProcessId, Seen, Value};

const SECOND: u64 = 1_000_000_000;

/// Returns a header with stages of one second each, after a warm-up of one second. Each stage is given by the rate or
/// number of clients at its beginning and end.
fn header(unit: StageUnit, stages: &[(f64, f64)]) -> Header {
    let planned = (1u64..).zip(stages).map(|(i, (from, to))| PlannedStage {
        start_ns: i * SECOND,
        end_ns: (i + 1) * SECOND,
        unit,
        from: *from,
        to: *to,
    });
    let list = serde_json::to_value(planned.collect::<Vec<_>>()).expect("numbers");
    let end = (stages.len() as u64 + 1) * SECOND;
    Header { load_window: Some((SECOND, end)), more: [(IN_HEADER.to_owned(), list)].into(), ..Header::default() }
}

/// Returns a history of writes with one process each, which are due, sent and answered at these times, in milliseconds.
/// `None` is an unknown outcome.
fn history(header: Header, ops: &[(u64, u64, Option<u64>)]) -> History {
    let mut names = Names::default();
    let key = names.key("k1");
    let ms = Nanos::from_ms;
    let mut events = vec![];
    for (i, (due, sent, answered)) in (0u64..).zip(ops) {
        let (op, process, call) = (OpId(i), ProcessId(i as u32), Call::Write { new: Value(i as i64 + 1) });
        let (t, intended) = (ms(*sent), Some(ms(*due)));
        events.push(Event::Invoke(Invoke { intended, ..Invoke::new(op, process, t, key, call) }));
        let t = ms(answered.unwrap_or(sent + 100));
        events.push(match answered {
            Some(_) => Event::Ok(Completion { op, t, seen: Seen::Written, node: None, reason: None, diagnostics: None }),
            None => Event::Unknown(Completion { op, t, seen: (), node: None, reason: None, diagnostics: None }),
        });
    }
    events.sort_by_key(|e| (e.t(), !matches!(e, Event::Invoke(_))));
    History::from_events(header, names, events).unwrap()
}

#[test]
fn each_op_counts_in_the_stage_in_which_it_was_due() {
    let header = header(StageUnit::Rate, &[(2.0, 2.0), (2.0, 4.0)]);
    // One op in the warm-up, two in the first stage (one of them answered in the second), two in the second stage (the
    // last of them late and unknown), and one after the load.
    let ops = [
        (500, 500, Some(501)),
        (1_100, 1_100, Some(1_110)),
        (1_900, 1_900, Some(2_200)),
        (2_000, 2_000, Some(2_001)),
        (2_500, 2_600, None),
        (3_000, 3_000, Some(3_001)),
    ];
    let stages = analyze(&history(header, &ops)).stages;
    let [first, second] = &stages[..] else { panic!("{stages:#?}") };
    assert_eq!((first.stage, first.start_s, first.end_s, first.asked, first.begun), (1, 1.0, 2.0, Some(2.0), 2));
    assert_eq!((first.achieved_ratio, first.late_ratio, first.ok, first.max_ms), (Some(1.0), 0.0, 2, 300.0));
    assert_eq!((second.asked, second.begun, second.begun_per_s, second.achieved_ratio), (Some(3.0), 2, 2.0, Some(0.666667)));
    assert_eq!((second.late_ratio, second.ok, second.unknown, second.max_ms), (0.5, 1, 1, 1.0));
    assert_eq!((first.asked_words(), second.asked_words()), ("2/s".into(), "2 to 4/s".into()));
}

#[test]
fn clients_ask_for_no_number_of_ops() {
    let stages = analyze(&history(
        header(StageUnit::Clients, &[(1.0, 1.0), (1.0, 16.0)]),
        &[(1_000, 1_000, Some(1_001)), (2_999, 2_999, Some(3_000))],
    ))
    .stages;
    let words: Vec<String> = stages.iter().map(StageFigures::asked_words).collect();
    assert_eq!(words, ["1 client", "1 to 16 clients"]);
    assert!(stages.iter().all(|s| s.asked.is_none() && s.achieved_ratio.is_none() && s.begun == 1), "{stages:#?}");
}

#[test]
fn a_load_that_was_cut_has_the_stages_that_it_reached() {
    let mut header = header(StageUnit::Rate, &[(2.0, 2.0), (2.0, 2.0), (2.0, 2.0)]);
    // The load window as read from an end record that contains the time at which the load ended.
    header.load_window = Some((SECOND, 2_500_000_000));
    let ops = [(1_000, 1_000, Some(1_001)), (2_400, 2_400, Some(2_401)), (3_900, 3_900, Some(3_901))];
    let stages = analyze(&history(header, &ops)).stages;
    let [first, second] = &stages[..] else { panic!("{stages:#?}") };
    assert_eq!((first.achieved_ratio, second.achieved_ratio), (Some(0.5), None), "a part of a stage is not compared with the whole");
    assert_eq!((second.end_s, second.begun, second.begun_per_s), (2.5, 1, 2.0));
}

#[test]
fn the_results_hold_them_and_a_list_that_cannot_be_read_is_left_out() {
    let history_of = |header| history(header, &[(1_000, 1_000, Some(1_001))]);
    let mut results = Results::default();
    results.set_measured(&analyze(&history_of(header(StageUnit::Rate, &[(2.0, 2.0)]))), &History::default());
    assert_eq!(results.stages.len(), 1);
    let mut damaged = header(StageUnit::Rate, &[(2.0, 2.0)]);
    damaged.more.insert(IN_HEADER.to_owned(), "nonsense".into());
    assert!(analyze(&history_of(damaged)).stages.is_empty());
}
