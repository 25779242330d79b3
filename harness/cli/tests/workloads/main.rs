//! Runs every workload against a correct register in a virtual world: its ops stay within the chain checker's fragment,
//! its intents end, and no client sends another op after an unknown outcome.

mod world;

use heckle_checker::search::NoSearch;
use heckle_checker::{Checker, Engine, Options, Verdict, judge};
use heckle_history::{Call, History, Outcome, Seen};
use heckle_workloads::registry::{WORKLOADS, WorkloadInfo};
use std::collections::BTreeMap;
use world::{World, run};

const SEEDS: u64 = 12;

fn worlds() -> impl Iterator<Item = (&'static WorkloadInfo, u64, History)> {
    WORKLOADS.iter().flat_map(|w| (0..SEEDS).map(move |seed| (w, seed, run(w, seed, World::default()))))
}

#[test]
fn every_workload_stays_inside_the_chain_fragment() {
    for (w, seed, history) in worlds() {
        let options = Options { checker: Checker::Chain, ..Options::new(&NoSearch) };
        let judged = judge(&history, &options).linearizability;
        assert_eq!((judged.verdict, judged.checker), (Verdict::Valid, Engine::Chain), "{} seed {seed}: {judged:#?}", w.name);
        for key in &judged.keys {
            assert_eq!(key.outside, None, "{} seed {seed}", w.name);
        }
        let updates = history.ops.iter().filter(|o| o.call.writes().is_some()).count();
        let values: std::collections::BTreeSet<_> = history.ops.iter().filter_map(|o| o.call.writes()).collect();
        assert_eq!(values.len(), updates, "{} seed {seed}: a value is written once", w.name);
        for op in &history.ops {
            if let Call::Cas { expected, new } = op.call {
                assert_ne!(expected, Some(new), "{} seed {seed} op {}", w.name, op.op);
            }
        }
    }
}

#[test]
fn intents_are_tried_until_they_succeed_and_never_after_an_unknown_outcome() {
    for (w, seed, history) in worlds() {
        let mut intents: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (i, detail) in history.details.iter().enumerate() {
            assert_eq!(detail.intent.is_some(), w.has_intents(), "{}", w.name);
            assert_eq!(detail.payload.is_some(), w.projection.is_some() && history.ops[i].call.writes().is_some(), "{}", w.name);
            if let Some(intent) = detail.intent {
                intents.entry(intent).or_default().push(i);
            }
        }
        let applied = |i: &usize| history.ops[*i].outcome == Outcome::Ok(Seen::Applied);
        let won = intents.values().filter(|ops| ops.iter().any(applied)).count();
        assert!(!w.has_intents() || won * 2 > intents.len(), "{} seed {seed}: {won} of {} succeed", w.name, intents.len());
        for (intent, ops) in &intents {
            let attempts: Vec<u32> = ops.iter().map(|i| history.details[*i].attempt.expect("with an intent")).collect();
            assert_eq!(attempts[0], 1, "{} seed {seed} intent {intent}", w.name);
            assert!(attempts.windows(2).all(|a| a[1] == a[0] || a[1] == a[0] + 1), "{attempts:?}");
            let processes: Vec<_> = ops.iter().map(|i| history.ops[*i].process).collect();
            assert!(processes.windows(2).all(|p| p[0] == p[1]), "one process an intent");
            let unknown = ops.iter().position(|i| history.ops[*i].outcome == Outcome::Unknown);
            assert!(unknown.is_none_or(|at| at + 1 == ops.len()), "{} seed {seed} intent {intent} went on", w.name);
            // A mutex is acquired and then released; other intents end with their first success.
            let first = ops.iter().position(applied).unwrap_or(ops.len());
            let after = ops.len() - (first + 1).min(ops.len());
            assert!(after == 0 || w.projection == Some("mutex"), "{} seed {seed} intent {intent}: {after} ops after success", w.name);
        }
    }
}

#[test]
fn a_client_gives_up_when_its_patience_is_over() {
    for w in WORKLOADS.iter().filter(|w| w.has_intents()) {
        let history = run(w, 1, World { fail: 1.0, unknown: 0.0, patience_ms: 50, ..World::default() });
        let last = history.details.iter().filter_map(|d| d.attempt).max().expect("intents");
        assert!(history.ops.iter().all(|o| o.outcome == Outcome::Failed));
        assert!((2..100).contains(&last), "{}: {last} attempts, with pauses between them", w.name);
        let mut spans: BTreeMap<_, (u64, u64)> = BTreeMap::new();
        for (op, detail) in history.ops.iter().zip(&history.details) {
            let span = spans.entry(detail.intent).or_insert((op.invoked.0, 0));
            span.1 = op.invoked.0 - span.0;
        }
        assert!(spans.values().all(|(_, lasted)| *lasted < 150_000_000), "{}: {spans:?}", w.name);
        assert!(spans.len() > 8, "{}: others follow", w.name);
    }
}

#[test]
fn the_seed_fixes_the_keys_of_intents_whatever_happens() {
    for w in WORKLOADS.iter().filter(|w| w.has_intents()) {
        let keys = |world: World| {
            let history = run(w, 3, World { keys: 5, ..world });
            let first = history.details.iter().zip(&history.ops).filter(|(d, o)| d.attempt == Some(1) && o.call != Call::Read);
            first.map(|(d, o)| (d.intent, o.key)).collect::<BTreeMap<_, _>>()
        };
        let (calm, rough) = (keys(World { fail: 0.0, unknown: 0.0, ..World::default() }), keys(World { fail: 0.3, ..World::default() }));
        let both = calm.iter().filter(|(i, _)| rough.contains_key(*i)).count();
        assert!(both > 20, "{}", w.name);
        assert!(calm.iter().all(|(i, key)| rough.get(i).is_none_or(|k| k == key)), "{}", w.name);
    }
}
