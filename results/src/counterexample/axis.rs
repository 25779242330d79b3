//! A time axis without long pauses: each pause is cut to the same short length and labelled with its duration.

use heckle_history::Nanos;

/// Number of typical durations beyond which a pause is cut.
const CUT: u64 = 6;
/// Minimum distance between two moments, in pixels, so that their order is visible.
const LEAST: f64 = 7.0;
/// Maximum share of the axis that cuts may take up.
const CUT_SHARE: f64 = 0.65;

/// A time axis with cut pauses.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    /// Moments with their positions, in order.
    places: Vec<(Nanos, f64)>,
    /// The pauses that are cut.
    pub(super) cuts: Vec<Cut>,
}

/// A pause that is cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cut {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) ns: u64,
}

impl Axis {
    /// Places the sorted `moments` between `left` and `right`. A cut is `cut_width` wide if there is room. `typical` is the usual
    /// duration of an op, with which pauses are compared.
    pub(super) fn new(moments: &[Nanos], typical: Nanos, (left, right): (f64, f64), cut_width: f64) -> Axis {
        let gaps: Vec<u64> = moments.windows(2).map(|w| w[1].since(w[0]).0).collect();
        let is_cut = |ns: u64| ns > CUT * typical.0.max(1);
        let room = right - left;
        let cuts = gaps.iter().filter(|ns| is_cut(**ns)).count();
        let cut_width = cut_width.min(room * CUT_SHARE / cuts.max(1) as f64);
        let linear: u64 = gaps.iter().filter(|ns| !is_cut(**ns)).sum();
        let least = LEAST.min(room / (2.0 * gaps.len().max(1) as f64));
        // The space left after the cuts and the minimum distances is divided in proportion to time.
        let fixed = cuts as f64 * cut_width + (gaps.len() - cuts) as f64 * least;
        let per_ns = if linear == 0 { 0.0 } else { (room - fixed).max(0.0) / linear as f64 };
        let mut axis = Axis { places: vec![], cuts: vec![] };
        let mut x = left;
        axis.places.extend(moments.first().map(|t| (*t, x)));
        for (t, ns) in moments.iter().skip(1).zip(gaps) {
            let from = x;
            x += if is_cut(ns) { cut_width } else { least + ns as f64 * per_ns };
            if is_cut(ns) {
                axis.cuts.push(Cut { from, to: x, ns });
            }
            axis.places.push((*t, x));
        }
        axis
    }

    /// Returns the position of a time. It is interpolated between moments, and clamped to the ends of the axis.
    pub(super) fn place(&self, t: Nanos) -> f64 {
        let after = self.places.partition_point(|(at, _)| *at < t);
        match (after.checked_sub(1).map(|i| self.places[i]), self.places.get(after).copied()) {
            (_, Some((at, x))) if at == t => x,
            (Some((a, xa)), Some((b, xb))) => xa + (xb - xa) * t.since(a).0 as f64 / b.since(a).0.max(1) as f64,
            (None, Some((_, x))) | (Some((_, x)), None) => x,
            (None, None) => 0.0,
        }
    }

    /// Returns the right end.
    pub(super) fn end(&self) -> f64 {
        self.places.last().map_or(0.0, |(_, x)| *x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(all: &[u64]) -> Vec<Nanos> {
        all.iter().map(|ms| Nanos::from_ms(*ms)).collect()
    }

    #[test]
    fn long_pauses_are_cut_and_order_is_kept() {
        let moments = ms(&[100, 104, 110, 3_000, 3_001, 90_000, 90_004]);
        let axis = Axis::new(&moments, Nanos::from_ms(4), (0.0, 400.0), 50.0);
        assert_eq!(axis.cuts.iter().map(|c| c.ns / 1_000_000).collect::<Vec<_>>(), [2_890, 86_999]);
        let places: Vec<f64> = moments.iter().map(|t| axis.place(*t)).collect();
        assert!(places.windows(2).all(|w| w[1] - w[0] >= LEAST - 1e-9), "{places:?}");
        assert!((axis.end() - 400.0).abs() < 1e-6, "the axis is filled: {}", axis.end());
        assert!(axis.place(Nanos::from_ms(102)) > places[0] && axis.place(Nanos::from_ms(102)) < places[1]);
        assert_eq!([axis.place(Nanos(0)), axis.place(Nanos::NEVER)], [0.0, axis.end()]);
    }

    #[test]
    fn many_cuts_share_the_axis() {
        let moments = ms(&(0..40).map(|i| i * 1_000).collect::<Vec<_>>());
        let axis = Axis::new(&moments, Nanos(1), (0.0, 300.0), 60.0);
        assert!(axis.cuts.len() == 39 && axis.end() <= 300.0 + 1e-6, "{}", axis.end());
        let empty = Axis::new(&[], Nanos(1), (0.0, 300.0), 60.0);
        assert_eq!((empty.place(Nanos(5)), empty.cuts.len()), (0.0, 0));
    }
}
