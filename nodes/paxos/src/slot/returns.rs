//! How many of the clients that were refused come back, and how soon.

const MILLION: u64 = 1_000_000;
/// So many are answered that the chance that none comes back is below this, parts per million.
const NOBODY_PPM: u64 = MILLION / 64;

/// How many of the clients that were refused came back while they were waited for, and how soon.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Returns {
    /// An average that forgets, parts per million.
    share_ppm: u64,
    /// Most come sooner than this; 0 as long as none has.
    takes_ns: u64,
    /// How long proposals take of late.
    round_ns: u64,
}

impl Returns {
    pub(super) fn note(&mut self, told: usize, came: usize) {
        if told > 0 {
            let share_ppm = came.min(told) as u64 * MILLION / told as u64;
            self.share_ppm = (3 * self.share_ppm + share_ppm).div_ceil(4);
        }
    }

    /// A client came back, so long after its refusal, in time or not.
    pub(super) fn took(&mut self, ns: u64) {
        // Rises much faster than it falls: near the longest of late.
        let takes = &mut self.takes_ns;
        *takes = if ns > *takes { *takes + (ns - *takes).div_ceil(2) } else { *takes - (*takes - ns) / 64 };
    }

    /// Takes the time of a proposal; gives how long to wait for all refused clients, and how long for one.
    /// Four proposals are the most: who comes through another node takes longer than one.
    pub(super) fn patience_ns(&mut self, round_ns: u64) -> (u64, u64) {
        self.round_ns = if self.round_ns == 0 { round_ns } else { (7 * self.round_ns + round_ns) / 8 };
        let half = self.round_ns / 2;
        let one = (self.takes_ns + self.takes_ns / 8).clamp(half, 8 * half);
        if self.share_ppm > MILLION / 2 { (one, one) } else { (half, one) }
    }

    /// How many to tell so that one comes back, most likely.
    pub(super) fn enough(self) -> usize {
        let stays_away_ppm = MILLION - self.share_ppm.min(MILLION);
        if stays_away_ppm == MILLION {
            return usize::MAX;
        }
        let (mut none_ppm, mut told) = (MILLION, 0);
        while none_ppm > NOBODY_PPM {
            none_ppm = none_ppm * stays_away_ppm / MILLION;
            told += 1;
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_waited_for_as_long_as_they_take_within_bounds() {
        let mut returns = Returns::default();
        assert_eq!(returns.patience_ns(1_000), (500, 500), "nothing is known");
        (0..40).for_each(|_| returns.took(960));
        let (all, one) = returns.patience_ns(1_000);
        assert!(all == 500 && (1_070..=1_090).contains(&one), "few come back: not all of them are waited for: {all}, {one}");
        (0..8).for_each(|_| returns.note(2, 2));
        assert_eq!(returns.patience_ns(1_000), (one, one));
        (0..1_000).for_each(|i| returns.took(if i % 10 == 0 { 960 } else { 400 }));
        let (all, _) = returns.patience_ns(1_000);
        assert!((900..=1_090).contains(&all), "one of ten is slow: {all}");
        (0..40).for_each(|_| returns.took(90_000));
        assert_eq!(returns.patience_ns(1_000), (4_000, 4_000));
    }

    #[test]
    fn fewer_are_told_the_more_come_back() {
        let mut returns = Returns::default();
        assert_eq!(returns.enough(), usize::MAX, "nothing is known: all are told");
        let mut told = vec![];
        for _ in 0..20 {
            returns.note(4, 4);
            told.push(returns.enough());
        }
        assert!(told.is_sorted_by(|a, b| a >= b), "{told:?}");
        assert_eq!((told[0], told[19]), (15, 1));
        returns.note(1, 0);
        assert_eq!(returns.enough(), 4, "one that stays away makes it careful");
        (0..80).for_each(|_| returns.note(4, 0));
        let careful = returns.enough();
        assert!(careful > 1_000);
        returns.note(0, 0);
        assert_eq!(returns.enough(), careful, "nobody was told: nothing is learned");
    }
}
