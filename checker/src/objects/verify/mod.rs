//! The verifier: accepts or rejects a certificate. It trusts nothing but the question.
//!
//! The verifier shares no code or concepts with the scans. It replays an order, or checks that the few ops of a
//! contradiction prove that the rule is broken. Except for one sort, it runs in linear time.

mod locks; // rules of a lock
mod queues; // rules of a queue
mod replay; // an order replayed op by op
mod sums; // rules of a counter

use super::{Certificate, Question, Rule};
use crate::search::{ModelCall, ModelKind, SearchOp};
use rustc_hash::FxHashSet;

/// Checks a certificate.
///
/// # Errors
/// Returns the claim that the ops do not support.
pub fn verify(question: &Question, certificate: &Certificate) -> Result<(), String> {
    match certificate {
        Certificate::Valid(order) => replay::replay(question, order),
        Certificate::Invalid(rule) => check_contradiction(question, rule),
    }
}

/// Checks a contradiction.
pub(super) fn check_contradiction(question: &Question, rule: &Rule) -> Result<(), String> {
    let case = Case { ops: &question.request.ops, model: question.request.model };
    if rule.named().iter().any(|&p| p as usize >= case.ops.len()) {
        return Err("it names an op that does not exist".to_owned());
    }
    let holds = match rule {
        Rule::NeverAdded { observer, element } => case.sees(*observer, *element) && case.adders(*element).next().is_none(),
        Rule::TooEarly { observer, element } => {
            let over = case.completed(*observer).ok_or("an observer without an answer")?;
            case.sees(*observer, *element) && case.adders(*element).all(|p| p.invoked > over)
        }
        Rule::Twice { observer } => case.sees_twice(*observer),
        Rule::Missed { present, absent, element } => {
            case.only_grows() && case.present_from(*present, *element)? < case.absent_before(*absent, *element)?
        }
        Rule::Crossed { present, absent, observer, first, second } => {
            let was_in = case.present_from(*present, *first)?;
            case.only_grows() && case.not_in_until(*absent, *second, was_in) && case.sees_without(*observer, *second, *first)
        }
        Rule::Incomparable { one, two, only_one, only_two } => {
            let lacks = |op: u32, element: i64| case.absent_before(op, element).is_ok();
            let (sees_one, sees_two) = (case.sees(*one, *only_one), case.sees(*two, *only_two));
            case.only_grows() && sees_one && sees_two && lacks(*two, *only_one) && lacks(*one, *only_two)
        }
        Rule::Diverged { one, two, at } => match (case.items(*one), case.items(*two)) {
            (Some(one), Some(two)) => *at < one.len().min(two.len()) && one[*at] != two[*at],
            _ => false,
        },
        Rule::DequeuedTwice { .. } | Rule::OutOfOrder { .. } | Rule::TooFewDequeues { .. } | Rule::FalseEmpty { .. } => case.queue(rule)?,
        Rule::TwoHolders { .. }
        | Rule::ReleasedWhileHeld { .. }
        | Rule::HeldByToken { .. }
        | Rule::TokenWentBack { .. }
        | Rule::SameToken { .. }
        | Rule::NotHeld { .. } => case.lock(rule)?,
        Rule::TooLow { .. } | Rule::TooHigh { .. } | Rule::NoSum { .. } => case.counter(rule)?,
    };
    if holds { Ok(()) } else { Err(format!("the ops do not show {rule:?}")) }
}

/// Returns the first op that could have ended the hold started by `acquire`, if any.
pub(super) fn end_of_hold(question: &Question, acquire: u32) -> Option<u32> {
    Case { ops: &question.request.ops, model: question.request.model }.end_of_hold(acquire)
}

/// The ops of a key and their answers.
struct Case<'q> {
    ops: &'q [SearchOp],
    model: ModelKind,
}

impl<'q> Case<'q> {
    fn op(&self, place: u32) -> &'q SearchOp {
        &self.ops[place as usize]
    }

    /// Returns when an op completed, if it certainly happened.
    fn completed(&self, place: u32) -> Option<u64> {
        self.op(place).completed
    }

    /// Returns the ops that may have added an element.
    fn adders(&self, element: i64) -> impl Iterator<Item = &'q SearchOp> {
        self.ops.iter().filter(move |op| match op.call {
            ModelCall::Add { member } => member == element,
            ModelCall::Push { item } | ModelCall::Enqueue { item } => item == element,
            _ => false,
        })
    }

    fn items(&self, place: u32) -> Option<&'q [i64]> {
        match &self.op(place).call {
            ModelCall::Items { items } if self.completed(place).is_some() => items.as_deref(),
            _ => None,
        }
    }

    /// Returns whether an answer shows that an element was present; `None` if it gives no information.
    fn reports(&self, place: u32, element: i64) -> Option<bool> {
        self.completed(place)?;
        match &self.op(place).call {
            ModelCall::Members { members, .. } => members.as_ref().map(|m| m.binary_search(&element).is_ok()),
            ModelCall::Contains { member, found } if *member == element => *found,
            ModelCall::Items { items } => items.as_ref().map(|i| i.contains(&element)),
            ModelCall::Dequeue { item } if *item == Some(Some(element)) => Some(true),
            _ => None,
        }
    }

    fn sees(&self, place: u32, element: i64) -> bool {
        self.reports(place, element) == Some(true)
    }

    fn sees_twice(&self, place: u32) -> bool {
        match &self.op(place).call {
            ModelCall::Members { twice, .. } => *twice && self.completed(place).is_some(),
            ModelCall::Items { .. } => {
                let mut seen = FxHashSet::default();
                let again = self.items(place).unwrap_or_default().iter().find(|item| !seen.insert(**item));
                again.is_some_and(|item| self.adders(*item).count() <= 1)
            }
            _ => false,
        }
    }

    fn only_grows(&self) -> bool {
        let grows = matches!(self.model, ModelKind::Set | ModelKind::ListAppend);
        grows && !self.ops.iter().any(|op| matches!(op.call, ModelCall::Remove { .. }))
    }

    /// Returns a time at which an element was certainly present: the completion of an op that added or saw it.
    fn present_from(&self, place: u32, element: i64) -> Result<u64, String> {
        let put = self.adders(element).any(|op| op.id == self.op(place).id);
        let over = self.completed(place).filter(|_| put || self.sees(place, element));
        over.ok_or_else(|| format!("op {} does not show that {element} was present", self.op(place).id))
    }

    /// Returns a time before which an element was absent: the invocation of an op that did not see it.
    fn absent_before(&self, place: u32, element: i64) -> Result<u64, String> {
        let missing = self.reports(place, element) == Some(false);
        missing.then(|| self.op(place).invoked).ok_or_else(|| format!("op {} does not show that {element} was missing", self.op(place).id))
    }

    /// Returns whether an element was added after `time`: an answer without it, or every op that adds it, was invoked
    /// later.
    fn not_in_until(&self, place: u32, element: i64, time: u64) -> bool {
        match self.absent_before(place, element) {
            Ok(at) => at > time,
            Err(_) => self.adders(element).all(|op| op.invoked > time),
        }
    }

    /// Returns whether an answer contains `element` without `other` before it.
    fn sees_without(&self, place: u32, element: i64, other: i64) -> bool {
        let position = |of: i64| self.items(place).and_then(|items| items.iter().position(|i| *i == of));
        let before = position(other).is_some_and(|o| position(element).is_some_and(|e| o < e));
        self.sees(place, element) && if self.items(place).is_some() { !before } else { !self.sees(place, other) }
    }
}
