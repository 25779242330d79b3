//! Compares the scans of sets, lists, queues, counters and locks with brute force and porcupine-rs on small random
//! histories.

mod common;

use common::cases;
use heckle_checker::Verdict;
use heckle_checker::differential::{MODELS, compare_object, object_case, show_object};
use heckle_checker::search::ModelKind;
use heckle_history::prng::Seed;

const STEPS: u64 = 20_000_000;

#[test]
fn scans_agree_with_brute_force() {
    for model in MODELS {
        let (mut valid, mut invalid, mut open) = (0, 0, 0);
        for n in 0..cases(6_000) {
            let question = object_case(Seed(1), model, n);
            match compare_object(&question, STEPS) {
                Ok(Verdict::Valid) => valid += 1,
                Ok(Verdict::Invalid) => invalid += 1,
                Ok(Verdict::Unknown) => open += 1,
                Err(e) => panic!("{}, case {n}: {e}\n{}", model.word(), show_object(&question)),
            }
        }
        println!("{}: {valid} valid, {invalid} invalid, {open} open", model.word());
        assert!(valid * 10 > cases(6_000) && invalid * 10 > cases(6_000), "{}: {valid} valid, {invalid} invalid", model.word());
        // A lock whose ops do not name the holder is left open more often.
        let share = match model {
            ModelKind::Mutex | ModelKind::FencedMutex => 4,
            ModelKind::OwnerMutex => 6,
            _ => 10,
        };
        assert!(open * share < cases(6_000), "{}: {open} left open", model.word());
    }
}
