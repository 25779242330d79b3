//! Statistics on refused clients: how many return, and how soon.

const MILLION: u64 = 1_000_000;
/// Upper limit on the probability that none of the answered clients returns, in parts per million.
const MAX_NO_RETURN_PPM: u64 = MILLION / 64;

/// The share of answered clients that returned while the key was reserved for them, and how soon they did.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Returns {
    /// Share of clients that return: an exponential average in parts per million.
    share_ppm: u64,
    /// Time within which most clients return, in nanoseconds. 0 until one has.
    takes_ns: u64,
    /// Recent duration of proposals, in nanoseconds.
    round_ns: u64,
}

impl Returns {
    pub(super) fn note(&mut self, answered: usize, returned: usize) {
        if answered > 0 {
            let share_ppm = returned.min(answered) as u64 * MILLION / answered as u64;
            self.share_ppm = (3 * self.share_ppm + share_ppm).div_ceil(4);
        }
    }

    /// Records how long a client took to return, in nanoseconds, whether in time or not.
    pub(super) fn note_delay(&mut self, ns: u64) {
        // Rises much faster than it falls, so it stays near the recent maximum.
        let takes = &mut self.takes_ns;
        *takes = if ns > *takes { *takes + (ns - *takes).div_ceil(2) } else { *takes - (*takes - ns) / 64 };
    }

    /// Records the duration of a proposal after which clients are expected to return. Returns how long to wait for
    /// all of them, and how long for one, in nanoseconds. The maximum is the duration of four proposals, since a
    /// client that uses another node takes longer than one proposal.
    pub(super) fn wait_times_ns(&mut self, round_ns: u64) -> (u64, u64) {
        self.round_ns = if self.round_ns == 0 { round_ns } else { (7 * self.round_ns + round_ns) / 8 };
        let half = self.round_ns / 2;
        let one = (self.takes_ns + self.takes_ns / 8).clamp(half, 8 * half);
        if self.share_ppm > MILLION / 2 { (one, one) } else { (half, one) }
    }

    /// Number of clients to answer so that one most likely returns.
    pub(super) fn clients_to_answer(self) -> usize {
        let stays_away_ppm = MILLION - self.share_ppm.min(MILLION);
        if stays_away_ppm == MILLION {
            return usize::MAX;
        }
        let (mut nobody_ppm, mut answered) = (MILLION, 0);
        while nobody_ppm > MAX_NO_RETURN_PPM {
            nobody_ppm = nobody_ppm * stays_away_ppm / MILLION;
            answered += 1;
        }
        answered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_times_follow_returns_within_bounds() {
        let mut returns = Returns::default();
        assert_eq!(returns.wait_times_ns(1_000), (500, 500), "nothing is known");
        (0..40).for_each(|_| returns.note_delay(960));
        let (all, one) = returns.wait_times_ns(1_000);
        assert!(all == 500 && (1_070..=1_090).contains(&one), "few come back: not all of them are waited for: {all}, {one}");
        (0..8).for_each(|_| returns.note(2, 2));
        assert_eq!(returns.wait_times_ns(1_000), (one, one));
        (0..1_000).for_each(|i| returns.note_delay(if i % 10 == 0 { 960 } else { 400 }));
        let (all, _) = returns.wait_times_ns(1_000);
        assert!((900..=1_090).contains(&all), "one of ten is slow: {all}");
        (0..40).for_each(|_| returns.note_delay(90_000));
        assert_eq!(returns.wait_times_ns(1_000), (4_000, 4_000));
    }

    #[test]
    fn more_returns_mean_fewer_answers() {
        let mut returns = Returns::default();
        assert_eq!(returns.clients_to_answer(), usize::MAX, "nothing is known: all are answered");
        let mut answered = vec![];
        for _ in 0..20 {
            returns.note(4, 4);
            answered.push(returns.clients_to_answer());
        }
        assert!(answered.is_sorted_by(|a, b| a >= b), "{answered:?}");
        assert_eq!((answered[0], answered[19]), (15, 1));
        returns.note(1, 0);
        assert_eq!(returns.clients_to_answer(), 4, "one that stays away makes it careful");
        (0..80).for_each(|_| returns.note(4, 0));
        let careful = returns.clients_to_answer();
        assert!(careful > 1_000);
        returns.note(0, 0);
        assert_eq!(returns.clients_to_answer(), careful, "without answers, nothing is learned");
    }
}
