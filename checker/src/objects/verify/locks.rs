//! Rules of a lock.

use super::super::{NEVER, Rule};
use super::Case;
use crate::search::{Claim, ModelCall, ModelKind, SearchOp};

/// How acquires and releases are matched: by a property that every op of the key has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label {
    Owner(i64),
    Token(i64),
    Nothing,
}

fn claim(op: &SearchOp) -> Option<Claim> {
    match op.call {
        ModelCall::Acquire(claim) | ModelCall::Release(claim) => Some(claim),
        _ => None,
    }
}

fn acquires(op: &SearchOp) -> bool {
    matches!(op.call, ModelCall::Acquire(_))
}

impl Case<'_> {
    pub(super) fn lock(&self, rule: &Rule) -> Result<bool, String> {
        if !matches!(self.model, ModelKind::Mutex | ModelKind::OwnerMutex | ModelKind::FencedMutex) {
            return Err("only a lock is judged by it".to_owned());
        }
        Ok(match rule {
            Rule::TwoHolders { one, two } => {
                let begun = self.hold_start(*one)?.max(self.hold_start(*two)?);
                one != two && begun < self.held_until(*one).min(self.held_until(*two))
            }
            Rule::ReleasedWhileHeld { held, release } => {
                let (op, over) = (self.op(*release), self.completed(*release).ok_or("nothing shows that the release happened")?);
                let other = self.label(op) != self.label(self.op(*held)) && self.label(op) != Label::Nothing;
                other && !acquires(op) && self.hold_start(*held)? < op.invoked && over < self.held_until(*held)
            }
            Rule::HeldByToken { earlier, later } => {
                self.hold_start(*later)? < self.held_until(*earlier) && self.token(*earlier)? < self.token(*later)?
            }
            Rule::TokenWentBack { before, after } => {
                self.hold_start(*after)?;
                self.hold_start(*before)? < self.op(*after).invoked && self.token(*before)? >= self.token(*after)?
            }
            Rule::SameToken { one, two } => {
                self.hold_start(*one)?;
                self.hold_start(*two)?;
                one != two && self.token(*one)? == self.token(*two)?
            }
            Rule::NotHeld { release } => self.not_held(*release),
            _ => false,
        })
    }

    /// Returns when an acquire that certainly happened completed.
    fn hold_start(&self, place: u32) -> Result<u64, String> {
        let over = self.completed(place).filter(|_| acquires(self.op(place)));
        over.ok_or_else(|| format!("op {} is no acquire that happened", self.op(place).id))
    }

    fn token(&self, place: u32) -> Result<i64, String> {
        let token = claim(self.op(place)).and_then(|c| c.fence);
        token.ok_or_else(|| format!("op {} has no token", self.op(place).id))
    }

    fn label(&self, op: &SearchOp) -> Label {
        let all = |of: fn(&Claim) -> bool| self.ops.iter().all(|o| claim(o).is_some_and(|c| of(&c)));
        let own = claim(op).unwrap_or_default();
        match (own.owner, own.fence) {
            (Some(owner), _) if all(|c| c.owner.is_some()) => Label::Owner(owner),
            (_, Some(token)) if all(|c| c.fence.is_some()) => Label::Token(token),
            _ => Label::Nothing,
        }
    }

    fn held_until(&self, acquire: u32) -> u64 {
        self.end_of_hold(acquire).map_or(NEVER, |release| self.op(release).invoked)
    }

    /// Returns the first release that could have ended a hold. If an acknowledged release has the label of the hold and
    /// no other acquire of that label to match, it is that release: the label has no later hold, and the lock was held
    /// before the release.
    pub(super) fn end_of_hold(&self, acquire: u32) -> Option<u32> {
        let own = self.op(acquire);
        let label = self.label(own);
        let alike: Vec<u32> = (0u32..).zip(self.ops).filter(|(_, op)| self.label_is(op, label)).map(|(p, _)| p).collect();
        let not_before = |p: &u32| self.completed(*p).is_none_or(|over| over >= own.invoked);
        let others = alike.iter().filter(|&&p| p != acquire && acquires(self.op(p)) && not_before(&p));
        let next = others.map(|&p| self.op(p).invoked).min().unwrap_or(NEVER);
        let releases: Vec<u32> = alike.iter().copied().filter(|&p| !acquires(self.op(p)) && not_before(&p)).collect();
        let begun = self.completed(acquire);
        let sure = |p: &&u32| {
            let over = self.completed(**p);
            label != Label::Nothing && over.is_some_and(|over| over < next) && begun.is_some_and(|begun| begun < self.op(**p).invoked)
        };
        let first = |of: &mut dyn Iterator<Item = &u32>| of.copied().min_by_key(|&p| self.op(p).invoked);
        first(&mut releases.iter().filter(sure)).or_else(|| first(&mut releases.iter()))
    }

    fn label_is(&self, op: &SearchOp, label: Label) -> bool {
        match label {
            Label::Owner(owner) => claim(op).is_some_and(|c| c.owner == Some(owner)),
            Label::Token(token) => claim(op).is_some_and(|c| c.fence == Some(token)),
            Label::Nothing => true,
        }
    }

    fn not_held(&self, release: u32) -> bool {
        let label = self.label(self.op(release));
        let Some(over) = self.completed(release).filter(|_| !acquires(self.op(release))) else { return false };
        let alike = || self.ops.iter().filter(|op| self.label_is(op, label));
        let released = alike().filter(|op| !acquires(op) && op.completed.is_some_and(|t| t <= over)).count();
        released > alike().filter(|op| acquires(op) && op.invoked <= over).count()
    }
}
