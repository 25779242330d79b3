//! Counts how often an intent was bypassed: later intents on its key were won while it waited.

use super::intents::{End, Intent};
use heckle_history::{KeyId, Nanos};
use std::collections::BTreeMap;

/// Returns the number of bypasses of each intent, in the order of `intents`, which are sorted by start time.
pub fn counts(intents: &[Intent]) -> Vec<u32> {
    let mut by_key: BTreeMap<KeyId, Vec<usize>> = BTreeMap::new();
    for (i, intent) in intents.iter().enumerate() {
        by_key.entry(intent.key).or_default().push(i);
    }
    let mut counts = vec![0; intents.len()];
    for places in by_key.into_values() {
        of_key(intents, &places, &mut counts);
    }
    counts
}

/// Counts the bypasses on one key, from the latest start to the earliest, so the wins counted so far are those of later
/// intents.
fn of_key(intents: &[Intent], places: &[usize], counts: &mut [u32]) {
    let mut ends: Vec<Nanos> = places.iter().filter(|&&p| intents[p].end == End::Won).map(|&p| intents[p].ended).collect();
    ends.sort_unstable();
    let mut tree = Tree(vec![0; ends.len() + 1]);
    let mut at = places.len();
    while at > 0 {
        // Intents that started at the same instant do not bypass each other.
        let began = intents[places[at - 1]].began;
        let first = places[..at].partition_point(|&p| intents[p].began < began);
        for &place in &places[first..at] {
            counts[place] = tree.below(ends.partition_point(|e| *e < intents[place].ended));
        }
        for &place in places[first..at].iter().filter(|&&p| intents[p].end == End::Won) {
            tree.add(ends.partition_point(|e| *e < intents[place].ended));
        }
        at = first;
    }
}

/// Counts entries below an index in logarithmic time (Fenwick, *A new data structure for cumulative frequency tables*, 1994).
struct Tree(Vec<u32>);

impl Tree {
    fn add(&mut self, place: usize) {
        let mut i = place + 1;
        while i < self.0.len() {
            self.0[i] += 1;
            i += i & i.wrapping_neg();
        }
    }

    fn below(&self, place: usize) -> u32 {
        let (mut i, mut sum) = (place, 0);
        while i > 0 {
            sum += self.0[i];
            i -= i & i.wrapping_neg();
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_history::prng::Seed;
    use heckle_history::{ClientId, IntentId};
    use rand::Rng;

    fn intent(id: u64, key: u32, began: u64, ended: u64, end: End) -> Intent {
        let (began, ended) = (Nanos(began), Nanos(ended));
        Intent {
            id: IntentId(id),
            client: ClientId(0),
            node: None,
            key: KeyId(key),
            began,
            ended,
            end,
            attempts: 1,
            lost: 0,
            calm_wait: Nanos(0),
        }
    }

    #[test]
    fn only_later_winners_on_the_same_key_count() {
        let all = [
            intent(0, 0, 0, 100, End::Waiting),
            intent(1, 0, 10, 20, End::Won),
            intent(2, 1, 10, 20, End::Won),
            intent(3, 0, 15, 18, End::Won),
            intent(4, 0, 30, 40, End::Unknown),
            intent(5, 0, 50, 100, End::Won),
        ];
        assert_eq!(counts(&all), [2, 1, 0, 0, 0, 0], "a win at the very end of a wait does not come before it");
    }

    #[test]
    fn it_agrees_with_counting_pairs() {
        let mut rng = Seed(1).stream("bypass");
        for _ in 0..200 {
            let mut all: Vec<Intent> = (0..30)
                .map(|i| {
                    let began = rng.next_u64() % 40;
                    let end = [End::Won, End::Won, End::Waiting, End::Unknown][(rng.next_u64() % 4) as usize];
                    intent(i, (rng.next_u64() % 2) as u32, began, began + rng.next_u64() % 30, end)
                })
                .collect();
            all.sort_by_key(|i| (i.began, i.id));
            let bypasses = |i: &Intent| {
                all.iter().filter(|j| j.key == i.key && j.began > i.began && j.end == End::Won && j.ended < i.ended).count() as u32
            };
            assert_eq!(counts(&all), all.iter().map(bypasses).collect::<Vec<_>>());
        }
    }
}
