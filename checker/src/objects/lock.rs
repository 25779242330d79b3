//! A lock, with or without fencing tokens.
//!
//! An acquire and the release that ends it form a *hold*. No other op can take effect between them. Acquires and
//! releases are matched by a *label*: the owner, if every op names one; otherwise the token, if every op names one;
//! otherwise the process. Matching by process may be wrong, since the model then lets any process release the lock.
//!
//! - *Tokens* must increase. If every acquire has one, they define the order of the holds, and one pass checks whether
//!   real time allows it.
//! - *Without tokens*, hold C must precede hold D if an op of C completed before an op of D was invoked. As in the
//!   chain checker, if there is a contradiction at all, there are two holds that must each precede the other. If the
//!   holds are sorted by first completion, comparing neighbours is sufficient.
//! - An acquire of unknown outcome that no release needs is dropped. A release of unknown outcome is assumed to have
//!   happened if it can end a hold. This is safe, as it may have happened at any later time.
//!
//! A contradiction must satisfy the verifier, which uses only labels that every op has; otherwise the key is left open.
//! A lock whose ops name no owner is therefore decided if each process releases only the locks it acquired, and usually
//! even if not.

use super::line::{Bound, Conflict, Line};
use super::verify::check_contradiction;
use super::{Answer, Certificate, NEVER, Question, Rule, by, place};
use crate::search::{Claim, ModelCall, SearchOp};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

/// An acquire and the release that ends it.
#[derive(Debug, Clone, Copy)]
struct Hold {
    acquire: u32,
    release: Option<u32>,
}

struct Lock<'q> {
    question: &'q Question,
    ops: &'q [SearchOp],
}

pub(super) fn scan(question: &Question) -> Answer {
    let lock = Lock { question, ops: &question.request.ops };
    if let Some(op) = lock.ops.iter().find(|o| claim(o).is_none()) {
        return Answer::undecided(op, "it is no op of a lock");
    }
    if let Some(rule) = lock.token_went_back() {
        return Answer::invalid(rule);
    }
    let holds = match lock.holds() {
        Ok(holds) => holds,
        Err(answer) => return answer,
    };
    let tokens = holds.iter().filter(|h| lock.token(h.acquire).is_some()).count();
    let found = if tokens == holds.len() { lock.by_token(holds) } else { lock.by_zone(&holds) };
    match found {
        Ok(order) if super::verify(question, &Certificate::Valid(order.clone())).is_ok() => Answer::valid(order),
        Ok(_) => Answer::Undecided("only some acquires have a token, and the order by time does not fit them".to_owned()),
        Err(rules) => match rules.into_iter().find(|rule| check_contradiction(question, rule).is_ok()) {
            Some(rule) => Answer::invalid(rule),
            None => Answer::Undecided("its ops do not say which release ends which hold".to_owned()),
        },
    }
}

fn claim(op: &SearchOp) -> Option<Claim> {
    match op.call {
        ModelCall::Acquire(claim) | ModelCall::Release(claim) => Some(claim),
        _ => None,
    }
}

impl<'q> Lock<'q> {
    fn op(&self, place: u32) -> &'q SearchOp {
        &self.ops[place as usize]
    }

    fn acquires(&self, place: u32) -> bool {
        matches!(self.op(place).call, ModelCall::Acquire(_))
    }

    fn token(&self, place: u32) -> Option<i64> {
        claim(self.op(place)).and_then(|claim| claim.fence)
    }

    fn invoke(&self, place: u32) -> Bound {
        Bound { from: self.op(place).invoked, shown_by: place }
    }

    /// Checks the tokens of acquires that certainly happened, regardless of their owners.
    fn token_went_back(&self) -> Option<Rule> {
        let sure = |p: &u32| self.acquires(*p) && by(self.op(*p)) != NEVER;
        let mut sorted: Vec<(i64, u32)> = (0..place(self.ops.len())).filter(sure).filter_map(|p| Some((self.token(p)?, p))).collect();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Some(Rule::SameToken { one: pair[0].1, two: pair[1].1 });
        }
        let mut line = Line::new(self.ops);
        let stood = (0u32..).zip(&sorted).find_map(|(block, &(_, p))| line.block(block, [(p, self.invoke(p))]).err());
        stood.map(|clash| Rule::TokenWentBack { before: clash.early, after: clash.late })
    }

    /// Returns the holds of all labels.
    fn holds(&self) -> Result<Vec<Hold>, Answer> {
        let all = |of: fn(&Claim) -> bool| self.ops.iter().filter_map(claim).all(|c| of(&c));
        let (owners, tokens) = (all(|c| c.owner.is_some()), all(|c| c.fence.is_some()));
        let mut labels: FxHashMap<i64, usize> = FxHashMap::default();
        let mut groups: Vec<Vec<u32>> = vec![];
        for (i, op) in self.ops.iter().enumerate() {
            let claim = claim(op).unwrap_or_default();
            let named = if owners { claim.owner } else { claim.fence.filter(|_| tokens) };
            let label = named.unwrap_or(i64::from(self.question.processes[i]));
            let group = *labels.entry(label).or_insert(groups.len());
            if group == groups.len() {
                groups.push(vec![]);
            }
            groups[group].push(place(i));
        }
        let mut holds = vec![];
        for group in &mut groups {
            group.sort_by_key(|&p| self.op(p).invoked);
            self.pair(group, &mut holds)?;
        }
        Ok(holds)
    }

    /// Pairs the holds of one label, whose ops are sorted by invocation.
    fn pair(&self, group: &[u32], holds: &mut Vec<Hold>) -> Result<(), Answer> {
        let mut held: Option<Hold> = None;
        let mut maybe: VecDeque<u32> = VecDeque::new();
        let mut over = 0;
        for &p in group {
            let op = self.op(p);
            if over > op.invoked {
                return Err(Answer::undecided(op, "its owner does another thing at the same time"));
            }
            over = if by(op) == NEVER { over } else { by(op) };
            match (self.acquires(p), by(op) != NEVER) {
                (true, true) => holds.extend(held.replace(Hold { acquire: p, release: None })),
                (true, false) => maybe.push_back(p),
                (false, true) => match held.take().map(|h| h.acquire).or_else(|| maybe.pop_front()) {
                    Some(acquire) => holds.push(Hold { acquire, release: Some(p) }),
                    None => return Err(self.not_held(p)),
                },
                (false, false) => {
                    if let Some(hold) = held.as_mut().filter(|h| h.release.is_none()) {
                        hold.release = Some(p);
                    }
                }
            }
        }
        holds.extend(held);
        Ok(())
    }

    fn not_held(&self, release: u32) -> Answer {
        let rule = Rule::NotHeld { release };
        if check_contradiction(self.question, &rule).is_ok() {
            return Answer::invalid(rule);
        }
        Answer::undecided(self.op(release), "it releases what its process did not acquire")
    }

    /// Returns the holds in the order of their tokens.
    fn by_token(&self, mut holds: Vec<Hold>) -> Result<Vec<u32>, Vec<Rule>> {
        holds.sort_unstable_by_key(|h| self.token(h.acquire));
        let mut line = Line::new(self.ops);
        for (i, hold) in (0u32..).zip(&holds) {
            let next = holds.get(i as usize + 1);
            if let (None, Some(next)) = (hold.release, next) {
                return Err(vec![Rule::HeldByToken { earlier: hold.acquire, later: next.acquire }]);
            }
            for (block, p) in [(2 * i, Some(hold.acquire)), (2 * i + 1, hold.release)] {
                let Some(p) = p else { continue };
                if let Err(clash) = line.block(block, [(p, self.invoke(p))]) {
                    return Err(self.explain_conflict(clash, &holds));
                }
            }
        }
        Ok(line.order())
    }

    /// Returns the rules that may explain two ops in the wrong real-time order: the release of a hold came too late.
    fn explain_conflict(&self, clash: Conflict, holds: &[Hold]) -> Vec<Rule> {
        let hold = |p: u32| holds.iter().find(|h| h.acquire == p || h.release == Some(p));
        match (hold(clash.late), hold(clash.early)) {
            (Some(earlier), Some(later)) => vec![
                Rule::HeldByToken { earlier: earlier.acquire, later: later.acquire },
                Rule::ReleasedWhileHeld { held: earlier.acquire, release: clash.early },
            ],
            _ => vec![],
        }
    }

    /// Returns the earliest completion and the latest invocation of a hold.
    fn zone(&self, hold: &Hold) -> (u64, u64) {
        let acquire = self.op(hold.acquire);
        match hold.release.map(|r| self.op(r)) {
            Some(release) => (by(acquire).min(by(release)), acquire.invoked.max(release.invoked)),
            // No other hold can come after this one.
            None => (by(acquire), NEVER),
        }
    }

    /// Returns the holds in an order that respects real time.
    fn by_zone(&self, holds: &[Hold]) -> Result<Vec<u32>, Vec<Rule>> {
        let zones: Vec<(u64, u64)> = holds.iter().map(|h| self.zone(h)).collect();
        let mut forward: Vec<usize> = (0..holds.len()).filter(|&i| zones[i].0 < zones[i].1).collect();
        forward.sort_unstable_by_key(|&i| zones[i].0);
        if let Some(pair) = forward.windows(2).find(|pair| zones[pair[1]].0 < zones[pair[0]].1) {
            return Err(conflict(&holds[pair[0]], &holds[pair[1]]));
        }
        // A forward hold is placed at its first completion. Any other hold is placed at its last invocation, or after
        // the zone that contains it.
        let mut at: Vec<(u64, u8, usize)> = forward.iter().map(|&i| (zones[i].0, 1, i)).collect();
        for i in (0..holds.len()).filter(|&i| zones[i].0 >= zones[i].1) {
            let started = forward.partition_point(|&f| zones[f].0 < zones[i].1);
            let mut point = zones[i].1;
            if let Some(&around) = started.checked_sub(1).and_then(|s| forward.get(s)) {
                if zones[i].0 < zones[around].1 {
                    return Err(conflict(&holds[around], &holds[i]));
                }
                point = point.max(zones[around].1);
            }
            at.push((point, 0, i));
        }
        at.sort_unstable();
        Ok(at.into_iter().flat_map(|(_, _, i)| std::iter::once(holds[i].acquire).chain(holds[i].release)).collect())
    }
}

/// Returns the rules that may explain two holds that must each precede the other.
fn conflict(one: &Hold, two: &Hold) -> Vec<Rule> {
    let mut rules = vec![Rule::TwoHolders { one: one.acquire, two: two.acquire }];
    rules.extend(two.release.map(|release| Rule::ReleasedWhileHeld { held: one.acquire, release }));
    rules.extend(one.release.map(|release| Rule::ReleasedWhileHeld { held: two.acquire, release }));
    rules
}
