//! The shares of CAS, read and write in a load, written `cas=60,read=30,write=10`. A load that bypasses consensus also
//! has shares of get and put.

use rand::{Rng, RngExt};
use std::fmt;
use std::str::FromStr;

/// Shares of the kinds of op, in any unit; they need not add up to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    cas: u32,
    read: u32,
    write: u32,
    get: u32,
    put: u32,
}

/// The kind of an op, before its key and values are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A compare-and-set.
    Cas,
    /// A serial read.
    Read,
    /// An unconditional write.
    Write,
    /// A read on the last-write-wins path.
    Get,
    /// A write on the last-write-wins path.
    Put,
}

impl Mix {
    /// Returns whether the mix contains ops of this kind.
    pub fn has(&self, kind: Kind) -> bool {
        match kind {
            Kind::Cas => self.cas > 0,
            Kind::Read => self.read > 0,
            Kind::Write => self.write > 0,
            Kind::Get => self.get > 0,
            Kind::Put => self.put > 0,
        }
    }

    /// Returns whether any of the ops bypass consensus.
    pub fn is_last_write_wins(&self) -> bool {
        self.has(Kind::Get) || self.has(Kind::Put)
    }

    /// Returns whether some of the ops use consensus and others bypass it.
    pub fn is_mixed(&self) -> bool {
        self.is_last_write_wins() && self.cas + self.read + self.write > 0
    }

    /// The default mix of the workload `mixed`.
    pub const MIXED: Mix = Mix { cas: 30, read: 20, write: 0, get: 25, put: 25 };

    fn total(&self) -> u32 {
        self.cas + self.read + self.write + self.get + self.put
    }

    /// Draws a kind in proportion to its share.
    pub fn draw(&self, rng: &mut impl Rng) -> Kind {
        let x = rng.random_range(0..self.total());
        if x < self.cas {
            Kind::Cas
        } else if x < self.cas + self.read {
            Kind::Read
        } else if x < self.cas + self.read + self.write {
            Kind::Write
        } else if x < self.total() - self.put {
            Kind::Get
        } else {
            Kind::Put
        }
    }
}

impl Default for Mix {
    fn default() -> Self {
        Mix { cas: 60, read: 30, write: 10, get: 0, put: 0 }
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let mut mix = Mix { cas: 0, read: 0, write: 0, get: 0, put: 0 };
        for part in s.split(',').map(str::trim) {
            let (kind, share) = part.split_once('=').ok_or_else(|| format!("`{part}` is not of the form cas=60"))?;
            let share: u32 = share
                .parse()
                .ok()
                .filter(|s| *s <= 1_000_000)
                .ok_or_else(|| format!("share `{share}` is not a whole number up to 1000000"))?;
            match kind {
                "cas" => mix.cas = share,
                "read" => mix.read = share,
                "write" => mix.write = share,
                "get" => mix.get = share,
                "put" => mix.put = share,
                other => return Err(format!("`{other}` is none of cas, read, write, get, put")),
            }
        }
        if mix.total() == 0 {
            return Err(format!("mix `{s}` asks for nothing"));
        }
        Ok(mix)
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cas={},read={},write={}", self.cas, self.read, self.write)?;
        if self.is_last_write_wins() { write!(f, ",get={},put={}", self.get, self.put) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_history::prng::Seed;

    #[test]
    fn mixes_round_trip_and_draw_their_shares() {
        let mix: Mix = "cas=1, write=3".parse().expect("well-formed");
        assert_eq!(mix.to_string().parse(), Ok(mix));
        let mut rng = Seed(1).stream("mix");
        let writes = (0..10_000).filter(|_| mix.draw(&mut rng) == Kind::Write).count();
        assert!((7_300..7_700).contains(&writes), "{writes}");
    }

    #[test]
    fn mixes_of_both_paths_round_trip_and_draw_all_kinds() {
        let mix: Mix = "put=1,cas=1,get=2".parse().expect("well-formed");
        assert_eq!((mix.to_string().as_str(), mix.to_string().parse()), ("cas=1,read=0,write=0,get=2,put=1", Ok(mix)));
        let mut rng = Seed(1).stream("mix");
        let drawn: Vec<Kind> = (0..10_000).map(|_| mix.draw(&mut rng)).collect();
        let share = |kind| drawn.iter().filter(|k| **k == kind).count();
        for (kind, about) in [(Kind::Cas, 2_500), (Kind::Get, 5_000), (Kind::Put, 2_500), (Kind::Read, 0), (Kind::Write, 0)] {
            assert!(share(kind).abs_diff(about) < 200, "{kind:?}: {}", share(kind));
        }
        for (text, cheap, mixed) in [("put=1", true, false), ("cas=1", false, false), ("get=1,read=1", true, true)] {
            let mix: Mix = text.parse().expect("well-formed");
            assert_eq!((mix.is_last_write_wins(), mix.is_mixed()), (cheap, mixed), "{text}");
        }
    }

    #[test]
    fn empty_mixes_are_rejected() {
        for (text, what) in [("cas", "form"), ("cas=-1", "share"), ("swap=3", "swap"), ("cas=0", "nothing"), ("", "form")] {
            assert!(text.parse::<Mix>().unwrap_err().contains(what), "{text}");
        }
    }
}
