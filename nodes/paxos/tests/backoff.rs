//! Waits after being outbid: how they grow, what they are based on, and how long an operation may keep being outbid.

mod rig;

use heckle_paxos::backoff::{Latencies, Quantiles, adaptive_wait, bounds};
use heckle_paxos::*;
use rand::SeedableRng;
use rig::*;

const MAX_NS: u64 = 100 * MS;

fn quantiles(p50_ms: u64, p95_ms: u64) -> Quantiles {
    Quantiles { p50_ns: p50_ms * MS, p95_ns: p95_ms * MS }
}

#[test]
#[rustfmt::skip] // A table.
fn bounds_follow_latencies_and_attempts_within_their_limits() {
    let check = |attempts, p50_ms, p95_ms, lower_us: u64, upper_us: u64| {
        let (lower, upper) = bounds(attempts, quantiles(p50_ms, p95_ms), MAX_NS);
        assert_eq!((lower / 1_000, upper / 1_000), (lower_us, upper_us), "after {attempts} losses, p50 {p50_ms} ms, p95 {p95_ms} ms");
    };
    //    losses  p50  p95   lower    upper
    check(1,      0,   0,    0,       10_000);
    check(1,      1,   2,    660,     10_000);
    check(3,      1,   2,    660,     11_664);
    check(5,      1,   2,    660,     37_791);
    check(9,      1,   2,    660,     100_000);
    check(60,     1,   2,    660,     100_000);
    check(1,      30,  40,   19_800,  72_000);
    check(1,      30,  10,   19_800,  34_800); // The spread is at least half the median.
    check(1,      200, 300,  0,       100_000); // The lower bound gives way at the maximum.
}

/// The mean of many random waits, in microseconds.
fn mean_us(attempts: u32, quantiles: Quantiles) -> u64 {
    let mut rng = rand_pcg::Pcg64::seed_from_u64(3);
    let (lower, upper) = bounds(attempts, quantiles, MAX_NS);
    let draws = (0..4_000).map(|_| adaptive_wait(attempts, quantiles, MAX_NS, &mut rng));
    let sum: u64 = draws.inspect(|wait| assert!((lower..=upper).contains(wait), "{lower} <= {wait} <= {upper}")).sum();
    sum / 4_000 / 1_000
}

#[test]
fn waits_grow_with_attempts_and_follow_the_latencies() {
    let quick = quantiles(2, 4);
    let means: Vec<u64> = [1, 2, 4, 6].into_iter().map(|attempts| mean_us(attempts, quick)).collect();
    assert!(means.windows(2).all(|pair| pair[0] < pair[1]), "{means:?} us after 1, 2, 4, 6 losses");
    assert!(mean_us(2, quantiles(20, 30)) > 2 * mean_us(2, quick), "slow rounds make long waits");
    // Also at the maximum: long waits are preferred, but all are possible.
    assert!(mean_us(20, quick) < MAX_NS / 1_000 && mean_us(20, quick) > MAX_NS / 2_000);
}

#[test]
fn old_latencies_are_dropped() {
    let at = |ms: u64| MonoTime(ms * MS);
    let mut latencies = Latencies::default();
    assert_eq!(latencies.quantiles(at(0)), Quantiles::default());
    for ms in 1..=100 {
        latencies.record(at(200), ms * MS);
    }
    assert_eq!(latencies.quantiles(at(200)), quantiles(51, 96));
    // The quantiles are cached for a while and then recomputed. Latencies are dropped when they are too old, or when
    // there are enough newer ones.
    latencies.record(at(201), 900 * MS);
    assert_eq!(latencies.quantiles(at(250)), quantiles(51, 96));
    for _ in 0..128 {
        latencies.record(at(260), 7 * MS);
    }
    assert_eq!(latencies.quantiles(at(310)), quantiles(7, 7));
    assert_eq!(latencies.quantiles(at(10_400)), Quantiles::default());
}

/// Lets an operation be outbid `times` times in a row. Returns how long it waited after each, in milliseconds.
fn waits(backoff: Backoff, round_ms: u64, times: u32) -> Vec<u64> {
    let mut config = config();
    config.backoff = backoff;
    let mut rig = Rig::new(config);
    // First, run rounds of a known length.
    for seq in 1..=20 {
        rig.ask(op(1, seq), Call::Read);
        rig.elapse(round_ms * MS);
        rig.promise(2);
        rig.row_read(2);
        rig.elapse(round_ms * MS);
        rig.accepted(2);
    }
    rig.ask(op(2, 1), Call::Write { new: val("x") });
    (0..times)
        .map(|_| {
            rig.kinds();
            rig.reject(2, RequestKind::Prepare);
            rig.reject(3, RequestKind::Prepare);
            (0..=200)
                .find(|_| {
                    !rig.kinds().is_empty() || {
                        rig.elapse(MS);
                        false
                    }
                })
                .expect("it comes back")
        })
        .collect()
}

#[test]
fn an_outbid_coordinator_waits_as_long_as_its_own_rounds_take() {
    assert_eq!(waits(Backoff::None, 1, 4), [0; 4]);
    let mean = |round_ms| {
        let waits = waits(Backoff::Adaptive { max_ns: MAX_NS }, round_ms, 8);
        assert!(waits.iter().all(|ms| *ms <= 101), "{waits:?}");
        waits[..2].iter().sum::<u64>() / 2
    };
    let (quick, slow) = (mean(0), mean(40));
    assert!(slow >= 26 && slow > quick, "{quick} ms after quick rounds, {slow} ms after rounds of 40 ms");
}

/// Outbids an operation until it is answered. Returns the outcome and the time until it was answered, in
/// milliseconds.
fn lose(call: Call, with_own_proposal: bool) -> (Outcome, u64) {
    let mut config = config();
    (config.backoff, config.contention_timeout_ns) = (Backoff::Uniform { max_ns: 30 * MS }, Some(200 * MS));
    let mut rig = Rig::new(config);
    rig.ask(op(1, 1), call);
    if with_own_proposal {
        rig.promise(2);
        rig.row_read(2);
        rig.reject(2, RequestKind::Propose);
        rig.reject(3, RequestKind::Propose);
    }
    for ms in 0..1_000 {
        if let Some((_, outcome, _)) = rig.replies.first() {
            return (outcome.clone(), ms);
        }
        if rig.kinds().iter().any(|kind| kind.starts_with("prepare")) {
            rig.reject(2, RequestKind::Prepare);
            rig.reject(3, RequestKind::Prepare);
        }
        rig.elapse(MS);
    }
    panic!("no answer");
}

#[test]
fn an_operation_loses_no_longer_than_the_contention_timeout() {
    let write = || Call::Write { new: val("x") };
    for (call, proposed, expected) in [
        (write(), false, Outcome::NotApplied { why: NotAppliedWhy::Contention }),
        (Call::Read, false, Outcome::NotApplied { why: NotAppliedWhy::Contention }),
        (write(), true, Outcome::Unknown { why: UnknownWhy::Contention }),
    ] {
        let (outcome, ms) = lose(call, proposed);
        assert_eq!(outcome, expected);
        assert!((199..=201).contains(&ms), "after {ms} ms");
    }
}

/// Missing replies are not contention: the operation waits until its own time limit.
#[test]
fn a_partition_is_not_taken_for_contention() {
    let mut config = config();
    config.contention_timeout_ns = Some(200 * MS);
    let mut rig = Rig::new(config);
    rig.ask(op(1, 1), Call::Write { new: val("x") });
    rig.elapse(TIMEOUT_NS - MS);
    assert!(rig.replies.is_empty());
    rig.elapse(MS);
    assert_eq!(rig.outcome(), &Outcome::NotApplied { why: NotAppliedWhy::TimeoutBeforePropose });
}
