//! What clients wanted, over all their tries: the unit in which a wait is felt. An op that names no intent is one by itself.
//!
//! An intent is *finished* by its first applied CAS or ok write. A refused CAS of it is a lost try, and a read of it a look
//! at what there is; of an op that names no intent both are answers. What was not finished when its last try ended, or when the run did, has
//! waited *at least* so long.

use crate::measure::Window;
use heckle_history::operation::Detail;
use heckle_history::{History, Nanos, Operation, Outcome, Seen};
use rustc_hash::FxHashMap;

/// One intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intent {
    /// Whose: the connection, or the process where none is named.
    pub client: u32,
    /// When its first try was due.
    pub due: Nanos,
    /// When it succeeded; else when its last try ended or the history did.
    pub until: Nanos,
    /// Whether it succeeded.
    pub finished: bool,
    /// Tries.
    pub attempts: u32,
}

impl Intent {
    /// How long it took, or has taken at least.
    pub fn wait_ms(&self) -> f64 {
        self.until.since(self.due).as_ms_f64()
    }
}

/// The intents that were due in `window`, in the order of their first tries. Needs the history's details.
pub fn of(history: &History, window: Window) -> Vec<Intent> {
    let mut intents: Vec<Intent> = vec![];
    let mut known: FxHashMap<u64, usize> = FxHashMap::default();
    for (i, op) in history.ops.iter().enumerate() {
        let detail = history.details.get(i);
        let named = detail.and_then(|d| d.intent);
        let place = match named {
            Some(id) => *known.entry(id.0).or_insert(intents.len()),
            None => intents.len(),
        };
        if place == intents.len() {
            let client = client(op, detail);
            intents.push(Intent { client, due: op.intended, until: op.intended, finished: false, attempts: 0 });
        }
        let intent = &mut intents[place];
        if !intent.finished {
            // A look is no try, unless it is all that is wanted.
            intent.attempts += u32::from(named.is_none() || op.call.writes().is_some());
            intent.finished = succeeded(op, named.is_some());
            intent.until = intent.until.max(op.completed.min(history.end));
        }
    }
    intents.retain(|i| window.holds(i.due));
    intents
}

fn client(op: &Operation, detail: Option<&Detail>) -> u32 {
    detail.and_then(|d| d.client).map_or(op.process.0, |c| c.0)
}

fn succeeded(op: &Operation, of_an_intent: bool) -> bool {
    match op.outcome {
        Outcome::Ok(Seen::Applied | Seen::Written) => true,
        Outcome::Ok(Seen::ConditionNotMet(_) | Seen::Value(_)) => !of_an_intent,
        Outcome::Failed | Outcome::Unknown | Outcome::Open => false,
    }
}

/// Waits in order, each with whether it ended: what Kaplan and Meier's estimate is made of.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Waits(Vec<(f64, bool)>);

impl Waits {
    /// Of these intents.
    pub fn of<'a>(intents: impl IntoIterator<Item = &'a Intent>) -> Self {
        Waits::new(intents.into_iter().map(|i| (i.wait_ms(), i.finished)).collect())
    }

    /// Milliseconds, and whether the wait ended.
    pub fn new(mut waits: Vec<(f64, bool)>) -> Self {
        // At equal times an end comes before a cut: the one that was cut was still waiting.
        waits.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        Waits(waits)
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: &Waits) -> Self {
        Waits::new([self.0, other.0.clone()].concat())
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many never ended.
    pub fn unfinished(&self) -> usize {
        self.0.iter().filter(|(_, ended)| !ended).count()
    }

    /// The longest, and whether it ended.
    pub fn longest(&self) -> Option<(f64, bool)> {
        self.0.last().copied()
    }

    /// Shares of intents finished by a time, as Kaplan and Meier estimate them: a step for each time at which one ended.
    pub fn curve(&self) -> Vec<(f64, f64)> {
        let (mut waiting_share, mut steps) = (1.0, vec![]);
        let n = self.0.len();
        let mut i = 0;
        while i < n {
            let at_risk = (n - i) as f64;
            let time = self.0[i].0;
            let here = self.0[i..].iter().take_while(|(t, _)| *t == time).count();
            let ended = self.0[i..i + here].iter().filter(|(_, ended)| *ended).count();
            if ended > 0 {
                waiting_share *= 1.0 - ended as f64 / at_risk;
                steps.push((time, 1.0 - waiting_share));
            }
            i += here;
        }
        steps
    }

    /// The time by which the share `q` is finished; `Err` holds the longest wait if so many never are.
    ///
    /// # Errors
    /// Not one: `Err` is the bound of a censored quantile.
    pub fn quantile(&self, q: f64) -> Option<Result<f64, f64>> {
        let longest = self.longest()?.0;
        Some(self.curve().into_iter().find(|(_, share)| *share >= q - 1e-9).map_or(Err(longest), |(time, _)| Ok(time)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Window;

    /// A look, a lost try, an applied one and what comes after it are one intent of one client; the next never ends.
    #[test]
    fn tries_are_one_intent_until_one_succeeds() {
        const FILE: &str = r#"{"schema":"heckle.history/1"}
{"e":"invoke","op":1,"process":0,"client":"c5","t":1000000,"intended":500000,"key":"k1","f":"read","intent":1,"attempt":1}
{"e":"ok","op":1,"t":2000000,"f":"read","value":null}
{"e":"invoke","op":2,"process":0,"client":"c5","t":3000000,"key":"k1","f":"cas","expected":7,"new":8,"intent":1,"attempt":2}
{"e":"ok","op":2,"t":4000000,"f":"cas","applied":false,"current":null}
{"e":"invoke","op":3,"process":0,"client":"c5","t":5000000,"key":"k1","f":"cas","expected":null,"new":9,"intent":1,"attempt":3}
{"e":"ok","op":3,"t":6500000,"f":"cas","applied":true}
{"e":"invoke","op":4,"process":0,"client":"c5","t":7000000,"key":"k1","f":"read","intent":2,"attempt":1}
{"e":"ok","op":4,"t":8000000,"f":"read","value":9}
{"e":"invoke","op":5,"process":1,"client":"c6","t":8000000,"key":"k1","f":"read"}
{"e":"ok","op":5,"t":9000000,"f":"read","value":9}
"#;
        let history = History::read(FILE.as_bytes(), heckle_history::operation::Keep::Details).expect("well-formed");
        let found = of(&history, Window::of(&history));
        let short: Vec<_> = found.iter().map(|i| (i.client, i.finished, i.attempts, i.wait_ms())).collect();
        assert_eq!(short, [(5, true, 2, 6.0), (5, false, 0, 1.0), (6, true, 1, 1.0)]);
    }

    /// Gehan's remission times of 6-mercaptopurine (weeks; Freireich et al. 1963), the example of every textbook on
    /// Kaplan and Meier: S falls to 0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448, and the median is 23.
    #[test]
    fn the_textbook_example_comes_out() {
        let ended = [6.0, 6.0, 6.0, 7.0, 10.0, 13.0, 16.0, 22.0, 23.0];
        let cut = [6.0, 9.0, 10.0, 11.0, 17.0, 19.0, 20.0, 25.0, 32.0, 32.0, 34.0, 35.0];
        let waits = Waits::new(ended.iter().map(|t| (*t, true)).chain(cut.iter().map(|t| (*t, false))).collect());
        let want = [(6.0, 0.857), (7.0, 0.807), (10.0, 0.753), (13.0, 0.690), (16.0, 0.627), (22.0, 0.538), (23.0, 0.448)];
        let got = waits.curve();
        assert_eq!(got.len(), want.len());
        for ((t, share), (want_t, still)) in got.iter().zip(want) {
            assert!(*t == want_t && (1.0 - share - still).abs() < 6e-4, "{got:?}");
        }
        assert_eq!(waits.quantile(0.5), Some(Ok(23.0)));
        assert_eq!(waits.quantile(0.9), Some(Err(35.0)), "over a tenth never came so far");
        assert_eq!((waits.unfinished(), waits.longest()), (12, Some((35.0, false))));
    }

    #[test]
    fn without_cuts_it_is_the_plain_quantile() {
        let waits = Waits::new((1..=200).map(|i| (f64::from(i), true)).collect());
        assert_eq!(waits.quantile(0.99), Some(Ok(198.0)));
        assert_eq!(waits.quantile(1.0), Some(Ok(200.0)));
        assert_eq!(Waits::default().quantile(0.5), None);
    }
}
