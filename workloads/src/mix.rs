//! The shares of cas, read and write in a load, written `cas=60,read=30,write=10`.

use rand::{Rng, RngExt};
use std::fmt;
use std::str::FromStr;

/// Shares of the three kinds of op, in any unit; they need not add up to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    cas: u32,
    read: u32,
    write: u32,
}

/// The kind of an op, before key and values are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Compare and set.
    Cas,
    /// Serial read.
    Read,
    /// Unconditional write.
    Write,
}

impl Mix {
    /// Whether it asks for ops of this kind.
    pub fn has(&self, kind: Kind) -> bool {
        match kind {
            Kind::Cas => self.cas > 0,
            Kind::Read => self.read > 0,
            Kind::Write => self.write > 0,
        }
    }

    /// Draws a kind by its share.
    pub fn draw(&self, rng: &mut impl Rng) -> Kind {
        let x = rng.random_range(0..self.cas + self.read + self.write);
        if x < self.cas {
            Kind::Cas
        } else if x < self.cas + self.read {
            Kind::Read
        } else {
            Kind::Write
        }
    }
}

impl Default for Mix {
    fn default() -> Self {
        Mix { cas: 60, read: 30, write: 10 }
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let mut mix = Mix { cas: 0, read: 0, write: 0 };
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
                other => return Err(format!("`{other}` is none of cas, read, write")),
            }
        }
        if mix.cas + mix.read + mix.write == 0 {
            return Err(format!("mix `{s}` asks for nothing"));
        }
        Ok(mix)
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cas={},read={},write={}", self.cas, self.read, self.write)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_history::prng::Seed;

    #[test]
    fn a_mix_reads_as_it_prints_and_draws_its_shares() {
        let mix: Mix = "cas=1, write=3".parse().expect("well-formed");
        assert_eq!(mix.to_string().parse(), Ok(mix));
        let mut rng = Seed(1).stream("mix");
        let writes = (0..10_000).filter(|_| mix.draw(&mut rng) == Kind::Write).count();
        assert!((7_300..7_700).contains(&writes), "{writes}");
    }

    #[test]
    fn a_mix_that_says_nothing_is_refused() {
        for (text, what) in [("cas", "form"), ("cas=-1", "share"), ("swap=3", "swap"), ("cas=0", "nothing"), ("", "form")] {
            assert!(text.parse::<Mix>().unwrap_err().contains(what), "{text}");
        }
    }
}
