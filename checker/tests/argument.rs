//! The drawn argument of a violation: its ops, its sentence, and the states step by step.

mod common;

use common::{DrawParams, cases, random, stream};
use heckle_checker::explain::argument::{Argument, MAX_FAULTS, MAX_OPS, Role, text};
use heckle_checker::search::NoSearch;
use heckle_checker::{Checker, Options, Violation, judge};
use heckle_history::event::{FaultEvent, FaultState, NodeEvent};
use heckle_history::{ClientId, History, Nanos, drawn};

fn violation(history: &History) -> Violation {
    let options = Options { checker: Checker::Chain, ..Options::new(&NoSearch) };
    judge(history, &options).linearizability.violations.into_iter().next().expect("it is invalid")
}

fn argument_of(history: &History) -> Argument {
    let found = violation(history);
    Argument::of(history, &found.key, &found.ops, &found.explanation.summary).expect("its ops are there")
}

/// Draws a history whose processes are clients.
#[track_caller]
fn with_clients(drawing: &str) -> History {
    let mut history = drawn::history(drawing);
    for (op, detail) in history.ops.iter().zip(&mut history.details) {
        detail.client = Some(ClientId(op.process.0 + 1));
    }
    history
}

fn add_fault(history: &mut History, id: u64, kind: &str, targets: &[&str], (from_ms, to_ms): (u64, u64)) {
    for (ms, state) in [(from_ms, FaultState::Began), (to_ms, FaultState::Ended)] {
        let evidence = [("count".to_owned(), 1.into())].into();
        let targets = targets.iter().map(|&t| t.to_owned()).collect();
        history.faults.push(FaultEvent { id, t: Nanos::from_ms(ms), kind: kind.into(), targets, state, evidence });
    }
}

fn words(argument: &Argument) -> Vec<&str> {
    argument.ops.iter().map(|o| o.words.as_str()).collect()
}

/// Draws an acknowledged update, a kill of all nodes, and a read of an older value.
fn killed() -> History {
    let mut history = with_clients(
        "c1 |w 12-->n1                                              |
         c2 |           w 17-->n2                                   |
         c3 |                                          r 12-->n3    |",
    );
    add_fault(&mut history, 1, "kill-all", &["n1", "n2", "n3"], (30, 38));
    history
}

#[test]
fn the_sentence_and_the_ops_are_those_of_the_lost_update() {
    let argument = argument_of(&killed());
    assert_eq!(
        argument.title,
        "17 was written to k1, acknowledged by n2 at 0.017 s; all nodes were killed (n1, n2, n3) at 0.030 s; a read sent at 0.042 s \
         still found 12: the acknowledged update was lost."
    );
    assert_eq!(words(&argument), ["write 12 ok", "write 17 ok", "read -> 12"]);
    assert_eq!(argument.ops.iter().map(|o| o.role).collect::<Vec<_>>(), [Role::Part, Role::Lost, Role::Observer]);
    assert_eq!(argument.ops.iter().map(|o| o.who.as_str()).collect::<Vec<_>>(), ["c1 via n1", "c2 via n2", "c3 via n3"]);
    assert_eq!(argument.faults.iter().map(|f| f.words.as_str()).collect::<Vec<_>>(), ["all nodes killed (n1, n2, n3)"]);
}

#[test]
fn the_states_lead_to_the_point_where_no_step_is_possible() {
    let argument = argument_of(&killed());
    let walk = &argument.walk;
    assert_eq!((walk.start.as_str(), walk.exhaustive), ("null", true));
    assert_eq!(walk.steps.iter().map(|s| (s.op.0, s.state.as_str())).collect::<Vec<_>>(), [(0, "12"), (1, "17")]);
    assert_eq!(walk.blocked.iter().map(|b| (b.op.0, b.why.as_str())).collect::<Vec<_>>(), [(2, "it found 12, but k1 holds 17")]);
}

#[test]
fn the_text_has_time_running_down_and_the_steps() {
    let found = text(&argument_of(&killed()));
    let want = "\
In the order of time:
  0.000 s  op 0      c1 via n1: write 12
  0.006 s  op 0      ok
  0.011 s  op 1      c2 via n2: write 17
  0.017 s  op 1      ok: from then on k1 must hold 17 or a newer value
  0.030 s  fault 1   all nodes killed (n1, n2, n3)
  0.038 s  fault 1   lifted
  0.042 s  op 2      c3 via n3: read
  0.048 s  op 2      12: it found 12, so the update was lost

The value of k1, step by step:
  0. null
  1. op 0, write 12 ok: 12
  2. op 1, write 17 ok: 17
  3. no step is possible, and no other order gets further:
     op 2, read -> 12: it found 12, but k1 holds 17
";
    assert_eq!(found, want);
}

#[test]
fn ops_that_only_wrote_a_needed_value_are_steps_and_are_not_drawn() {
    let history = with_clients(
        "c1 |w 1-->n1   cas 1 2-->n1   cas 2 3-->n2                       |
         c2 |                                           cas 3 9 saw null-->n3 |",
    );
    let argument = argument_of(&history);
    assert_eq!(words(&argument), ["cas 2 -> 3 ok", "cas 3 -> 9 refused, held null"]);
    let steps: Vec<_> = argument.walk.steps.iter().map(|s| (s.op.0, s.drawn, s.state.as_str())).collect();
    assert_eq!(steps, [(1, false, "2"), (2, true, "3")]);
    assert_eq!(argument.walk.blocked[0].why, "it found null, but k1 holds 3");
}

#[test]
fn cas_ops_in_between_are_drawn_if_the_times_alone_do_not_order_the_values() {
    // The write of 1 overlaps both later updates, so only the CAS links show that 3 came after 1.
    let history = with_clients(
        "c1 |w 1---------------------------------->n1                 |
         c2 |   cas 1 2-->n2   cas 2 3-->n2           r 1-->n3        |",
    );
    let argument = argument_of(&history);
    assert_eq!(words(&argument), ["write 1 ok", "cas 1 -> 2 ok", "cas 2 -> 3 ok", "read -> 1"]);
    assert_eq!(argument.ops[2].role, Role::Lost);
}

#[test]
fn a_value_out_of_nowhere_is_explained_by_the_proof() {
    let history = with_clients("c1 |w 1-->n1   r 7-->n2 |");
    let argument = argument_of(&history);
    assert_eq!(argument.title, violation(&history).explanation.summary);
    assert_eq!(words(&argument), ["read -> 7"]);
    assert_eq!(argument.walk.blocked[0].why, "it found 7, but k1 holds null");
}

#[test]
fn an_op_without_an_answer_has_no_end() {
    let history = with_clients(
        "c1 |w 1-->n1                                       |
         c2 |          cas 1 2--?n2                         |
         c3 |                        r 2-->n3   r 1-->n3    |",
    );
    let argument = argument_of(&history);
    let open = argument.ops.iter().find(|o| o.words == "cas 1 -> 2 no answer").expect("it is part of the argument");
    assert_eq!(open.ended, None);
    assert!(text(&argument).contains("cas 1 -> 2, never answered"), "{}", text(&argument));
}

#[test]
fn a_history_without_the_key_has_no_argument() {
    let history = killed();
    assert_eq!(Argument::of(&history, "other", &[history.ops[0].op], "words"), None);
    assert_eq!(Argument::of(&history, "k1", &[], "words"), None);
}

#[test]
fn many_faults_are_cut_and_the_one_that_explains_the_loss_stays() {
    let mut history = killed();
    for id in 2..12 {
        add_fault(&mut history, id, "delay", &["n1"], (1, 47));
    }
    history.faults.sort_by_key(|f| f.t);
    let argument = argument_of(&history);
    assert_eq!((argument.faults.len(), argument.more_faults), (MAX_FAULTS, 5));
    assert!(argument.faults.iter().any(|f| f.id == 1), "{:?}", argument.faults);
}

#[test]
fn a_crash_is_drawn_with_what_the_node_left_open() {
    let mut history = with_clients(
        "c1 |w 1-->n1                          |
         c2 |          w 2----------------?n1  |
         c3 |               r 1-->n2           |",
    );
    let node = history.ops[0].node.expect("a node answered");
    let t = Nanos::from_ms(20);
    history.node_events.push(NodeEvent { t, node, what: "exit".into(), detail: [].into() });
    add_fault(&mut history, 1, "pause", &["n2"], (12, 14));
    let argument = Argument::of_crash(&history, "n1", t, "signal 6", "n1 crashed at 0.020000 s (signal 6)");
    assert_eq!(words(&argument), ["write 1 ok", "write 2 no answer"]);
    assert_eq!(argument.marks, [(t, "n1 crashed at 0.020 s (signal 6)".to_owned())]);
    assert_eq!(argument.faults[0].words, "n2 paused");
    assert!(text(&argument).contains("n1 crashed"), "{}", text(&argument));
    // A node that the history does not name has no ops but is still drawn.
    assert!(Argument::of_crash(&history, "n9", t, "exit 1", "n9 crashed").ops.is_empty());
}

#[test]
fn every_violation_of_a_random_history_has_a_sound_argument() {
    let (mut drawn, mut short) = (0, 0);
    for n in 0..cases(4_000) {
        let history = random(&mut stream("argument", n), DrawParams { ops: 14, silent: false, fates: true });
        let options = Options { checker: Checker::Chain, ..Options::new(&NoSearch) };
        for found in judge(&history, &options).linearizability.violations {
            let argument = Argument::of(&history, &found.key, &found.ops, &found.explanation.summary).expect("its ops are there");
            drawn += 1;
            short += u32::from(argument.ops.len() <= 6);
            assert!(!argument.title.is_empty() && argument.ops.len() <= MAX_OPS, "case {n}: {argument:#?}");
            assert!(argument.walk.exhaustive, "case {n}: {argument:#?}");
            assert!(!argument.walk.blocked.is_empty(), "case {n}: the drawn ops contradict each other\n{argument:#?}");
            let moments = argument.moments();
            assert!(moments.windows(2).all(|w| w[0] < w[1]), "case {n}: {moments:?}");
        }
    }
    assert!(drawn > 250 && short * 100 >= drawn * 95, "{short} of {drawn} have at most six ops");
}
