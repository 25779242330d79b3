//! The verifier rejects a certificate that does not prove its claim.

mod common;

use common::{DrawParams, cases, question, random, show, stream};
use heckle_checker::linearizable::certificate::{Block, Certificate, Contradiction, Rule};
use heckle_checker::linearizable::verify;
use heckle_checker::search::{NoSearch, brute};
use heckle_checker::{Checker, Options, Verdict, judge};
use heckle_history::prng::Pcg64;
use heckle_history::{History, KeyId, OpId, Value};
use rand::RngExt;

const STEPS: u64 = 20_000_000;
const SPICE: DrawParams = DrawParams { ops: 8, silent: false, fates: true };
const KEY: KeyId = KeyId(0);

fn certificate(history: &History) -> (Verdict, Certificate) {
    let judgement = judge(history, &Options { checker: Checker::Chain, ..Options::new(&NoSearch) });
    let (_, certificate) = judgement.certificates.into_iter().next().expect("inside the fragment");
    (judgement.linearizability.verdict, certificate)
}

fn linearizable(history: &History) -> bool {
    brute::order(&question(history, true), STEPS).expect("small histories are decided").is_some()
}

/// Changes one part of a contradiction.
fn corrupt(rng: &mut Pcg64, contradiction: &Contradiction, ops: u64) -> Contradiction {
    let mut twisted = contradiction.clone();
    // Any op may be listed as support: the verifier must determine on its own which ops took effect.
    twisted.support = (0..ops).map(OpId).collect();
    let op = OpId(rng.random_range(0..ops));
    let other = OpId(rng.random_range(0..ops));
    let twist_block = |rng: &mut Pcg64, block: &mut Block| match rng.random_range(0..5u32) {
        0 => block.early = Some(op),
        1 => block.late = Some(op),
        2 => block.values.reverse(),
        3 => block.early = None,
        _ => {
            block.values.pop();
        }
    };
    match &mut twisted.rule {
        Rule::NeverWritten { observer, value } if rng.random() => (*observer, *value) = (op, *value),
        Rule::NeverWritten { value, .. } => *value = Value(rng.random_range(0..9)),
        Rule::TwoSuccessors { a, .. } => *a = op,
        Rule::SawExpected { op: refused } => *refused = op,
        Rule::Circle { ops } => *ops = vec![op, other],
        Rule::Backwards { block } => twist_block(rng, block),
        Rule::Interleaved { one, two } => {
            let block = if rng.random() { one } else { two };
            twist_block(rng, block);
        }
    }
    twisted
}

#[test]
fn no_contradiction_is_accepted_of_a_linearizable_history() {
    let (mut pool, mut tried) = (vec![], 0u64);
    for n in 0..cases(4_000) {
        let mut rng = stream("verifier", n);
        let history = random(&mut rng, SPICE);
        if let (_, Certificate::Invalid(contradiction)) = certificate(&history) {
            pool.push(contradiction);
            continue;
        }
        assert!(linearizable(&history));
        for _ in 0..60.min(pool.len()) {
            let mut contradiction = pool[rng.random_range(0..pool.len())].clone();
            for _ in 0..rng.random_range(0..3u32) {
                contradiction = corrupt(&mut rng, &contradiction, history.ops.len() as u64);
            }
            tried += 1;
            let verdict = verify(&history, KEY, &history.by_key()[KEY.0 as usize], true, &Certificate::Invalid(contradiction.clone()));
            assert!(verdict.is_err(), "case {n}: accepted {contradiction:#?}\nof\n{}", show(&history));
        }
    }
    assert!(tried > 10_000, "{tried} tried");
}

#[test]
fn a_twisted_contradiction_is_only_accepted_of_a_history_that_has_one() {
    // A change may produce another valid contradiction of the same history. Most changes must be rejected.
    let (mut accepted, mut refused) = (0, 0);
    for n in 0..cases(2_000) {
        let mut rng = stream("twisted", n);
        let history = random(&mut rng, SPICE);
        let (_, Certificate::Invalid(contradiction)) = certificate(&history) else { continue };
        assert!(!linearizable(&history));
        for _ in 0..10 {
            let twisted = corrupt(&mut rng, &contradiction, history.ops.len() as u64);
            match verify(&history, KEY, &history.by_key()[KEY.0 as usize], true, &Certificate::Invalid(twisted)) {
                Ok(()) => accepted += 1,
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > accepted, "{accepted} accepted, {refused} refused");
}

#[test]
fn no_order_is_accepted_of_a_history_that_has_none() {
    let mut tried = 0;
    for n in 0..cases(3_000) {
        let mut rng = stream("orders", n);
        let history = random(&mut rng, SPICE);
        if linearizable(&history) {
            continue;
        }
        let mut order: Vec<u32> = (0..history.ops.len() as u32).collect();
        for _ in 0..30 {
            let (a, b) = (rng.random_range(0..order.len()), rng.random_range(0..order.len()));
            order.swap(a, b);
            let mut some = order.clone();
            some.truncate(rng.random_range(0..=order.len()));
            for order in [&order, &some] {
                tried += 1;
                assert!(
                    verify(&history, KEY, &history.by_key()[KEY.0 as usize], true, &Certificate::Valid(order.clone())).is_err(),
                    "case {n}: {order:?}\n{}",
                    show(&history)
                );
            }
        }
    }
    assert!(tried > 10_000, "{tried} tried");
}

#[test]
fn an_order_with_something_left_out_or_twice_is_refused() {
    let history = heckle_history::drawn::history("c1 |w 1-->  cas 1 2-->  r 2-->|");
    let (_, Certificate::Valid(order)) = certificate(&history) else { panic!("it is valid") };
    assert_eq!(order, [0, 1, 2]);
    for bad in [vec![], vec![0, 1], vec![0, 2], vec![1, 0, 2], vec![0, 1, 2, 2], vec![0, 1, 1, 2], vec![0, 1, 2, 3]] {
        assert!(
            verify(&history, KEY, &history.by_key()[KEY.0 as usize], true, &Certificate::Valid(bad.clone())).is_err(),
            "{bad:?} was accepted"
        );
    }
    assert!(verify(&history, KEY, &history.by_key()[KEY.0 as usize], true, &Certificate::Valid(order)).is_ok());
}
