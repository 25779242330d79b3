//! Explains a contradiction: the text, the kind and the ops involved.

pub(super) mod calls; // elements and locks of a call
mod locks; // explains the rules of a lock

use super::verify::{check_contradiction, end_of_hold};
use super::{Question, Rule};
use crate::search::{ModelCall, ModelKind, SearchOp};
use crate::verdict::{Explanation, ViolationKind};
use calls::{added_element, items, observed_element, repeated};

/// Maximum number of elements listed in an explanation.
const MAX_NAMED: usize = 8;

/// The explanation of a contradiction.
pub(super) struct Reason {
    pub(super) kind: ViolationKind,
    pub(super) explanation: Explanation,
    /// Indices of all ops that the argument needs.
    pub(super) support: Vec<u32>,
}

/// Explains a contradiction.
pub(super) fn explain(question: &Question, rule: &Rule) -> Reason {
    let story = Story { question, ops: &question.request.ops };
    let (kind, summary, steps) = story.describe(rule);
    Reason { kind, explanation: Explanation { summary, steps, ..Explanation::default() }, support: story.support(rule) }
}

struct Story<'q> {
    question: &'q Question,
    ops: &'q [SearchOp],
}

impl Story<'_> {
    fn op(&self, place: u32) -> &SearchOp {
        &self.ops[place as usize]
    }

    fn id(&self, place: u32) -> String {
        format!("op {}", self.op(place).id)
    }

    fn describe(&self, rule: &Rule) -> (ViolationKind, String, Vec<String>) {
        match rule {
            Rule::NeverAdded { .. } | Rule::TooEarly { .. } | Rule::Twice { .. } | Rule::DequeuedTwice { .. } => {
                self.describe_element(rule)
            }
            Rule::Missed { .. } | Rule::Crossed { .. } | Rule::Incomparable { .. } | Rule::Diverged { .. } => {
                self.describe_set_or_list(rule)
            }
            Rule::OutOfOrder { .. } | Rule::TooFewDequeues { .. } | Rule::FalseEmpty { .. } => self.queue(rule),
            Rule::TooLow { .. } | Rule::TooHigh { .. } | Rule::NoSum { .. } => self.counter(rule),
            Rule::TwoHolders { .. }
            | Rule::ReleasedWhileHeld { .. }
            | Rule::HeldByToken { .. }
            | Rule::TokenWentBack { .. }
            | Rule::SameToken { .. }
            | Rule::NotHeld { .. } => self.lock(rule),
        }
    }

    /// Explains elements that no op added, or that occur twice.
    fn describe_element(&self, rule: &Rule) -> (ViolationKind, String, Vec<String>) {
        let verb = self.verb();
        match rule {
            Rule::NeverAdded { observer, element } => {
                let id = self.id(*observer);
                match self.question.failed.iter().find(|op| added_element(&op.call) == Some(*element)) {
                    Some(failed) => {
                        let summary = format!("{id} saw {element}, which only op {} was asked to {verb}, and that op failed.", failed.id);
                        (ViolationKind::AbortedRead, summary, vec![])
                    }
                    None => (ViolationKind::ReadOfNeverWritten, format!("{id} saw {element}, which no op was asked to {verb}."), vec![]),
                }
            }
            Rule::TooEarly { observer, element } => {
                let id = self.id(*observer);
                let summary = format!("{id} saw {element} and was over before any op was invoked that was asked to {verb} it.");
                (ViolationKind::FutureRead, summary, vec![])
            }
            Rule::Twice { observer } => {
                let what = repeated(&self.op(*observer).call).map_or("an element".to_owned(), |e| e.to_string());
                (ViolationKind::Duplicate, format!("{} saw {what} twice in one answer.", self.id(*observer)), vec![])
            }
            Rule::DequeuedTwice { one, two } => {
                let item = observed_element(&self.op(*one).call).unwrap_or_default();
                let summary = format!("{} and {} both dequeued {item}, which was enqueued once.", self.id(*one), self.id(*two));
                (ViolationKind::Duplicate, summary, vec![])
            }
            _ => (ViolationKind::NotLinearizable, String::new(), vec![]),
        }
    }

    /// Explains contradictions on sets and lists, which only grow.
    fn describe_set_or_list(&self, rule: &Rule) -> (ViolationKind, String, Vec<String>) {
        match rule {
            Rule::Missed { present, absent, element } => {
                let kind = if self.seen_by_others(*element) { ViolationKind::StaleRead } else { ViolationKind::LostUpdate };
                let after = match kind {
                    ViolationKind::LostUpdate => "No read ever saw it.".to_owned(),
                    _ => "Other reads saw it.".to_owned(),
                };
                let summary = format!(
                    "{} and was over before {} was invoked, which did not see {element}.",
                    self.evidence_of(*present, *element),
                    self.id(*absent)
                );
                (kind, summary, vec![after])
            }
            Rule::Crossed { present, absent, observer, first, second } => {
                let list = matches!(self.op(*observer).call, ModelCall::Items { .. });
                let summary = format!(
                    "{first} came before {second}, and {} saw {second} {}.",
                    self.id(*observer),
                    if list { format!("without {first} before it") } else { format!("without {first}") }
                );
                let absent = match added_element(&self.op(*absent).call) {
                    Some(_) => format!("{}, which put {second} in, was invoked after that", self.id(*absent)),
                    None => format!("{}, invoked after that, did not see {second}", self.id(*absent)),
                };
                let kind = match (list, self.seen_by_others(*first)) {
                    (true, true) => ViolationKind::OutOfOrder,
                    (false, true) => ViolationKind::StaleRead,
                    (_, false) => ViolationKind::LostUpdate,
                };
                (kind, summary, vec![format!("{} and was over", self.evidence_of(*present, *first)), absent])
            }
            Rule::Incomparable { one, two, only_one, only_two } => {
                let (a, b) = (self.id(*one), self.id(*two));
                let summary = format!("{a} saw {only_one} and not {only_two}; {b} saw {only_two} and not {only_one}.");
                let step = "Elements were only added, so one of two reads must contain all that the other saw".to_owned();
                (ViolationKind::Fork, summary, vec![step])
            }
            Rule::Diverged { one, two, at } => {
                let (a, b) = (self.id(*one), self.id(*two));
                let value = |place: u32| items(&self.op(place).call).get(*at).map_or(String::new(), i64::to_string);
                let summary = format!("{a} and {b} differ at position {at}: {} and {}.", value(*one), value(*two));
                let step = "Values were only appended, so one of two reads must begin with all of the other".to_owned();
                (ViolationKind::Fork, summary, vec![step])
            }
            _ => (ViolationKind::NotLinearizable, String::new(), vec![]),
        }
    }

    fn queue(&self, rule: &Rule) -> (ViolationKind, String, Vec<String>) {
        match rule {
            Rule::OutOfOrder { first, second } => {
                let never = !self.ops.iter().any(|op| observed_element(&op.call) == Some(*first));
                let before = format!("{first} was in before {second} was enqueued");
                if never {
                    let summary = format!("{before}; {second} was dequeued, and {first} never was.");
                    let step = "By then no dequeue had been invoked whose outcome is unknown, so none could have taken it".to_owned();
                    return (ViolationKind::LostUpdate, summary, vec![step]);
                }
                let summary = format!("{before}, and {second} was out before the dequeue of {first} was invoked.");
                (ViolationKind::OutOfOrder, summary, vec![])
            }
            Rule::TooFewDequeues { items, .. } => {
                let summary = format!(
                    "{} items had to be out ({}), no op dequeued them, and fewer dequeues with an unknown outcome had been invoked.",
                    items.len(),
                    list(items)
                );
                (
                    ViolationKind::LostUpdate,
                    summary,
                    vec!["Each was in before an item that was dequeued, or before the queue was found empty".into()],
                )
            }
            Rule::FalseEmpty { dequeue, items } => {
                let id = self.id(*dequeue);
                let summary = format!("{id} found the queue empty, and it was not at any time while it ran: {} was in it.", list(items));
                let chain = "Each item was in before the one named before it could have been dequeued".to_owned();
                (ViolationKind::FalseEmpty, summary, if items.len() > 1 { vec![chain] } else { vec![] })
            }
            _ => (ViolationKind::NotLinearizable, String::new(), vec![]),
        }
    }

    fn counter(&self, rule: &Rule) -> (ViolationKind, String, Vec<String>) {
        let saw = |read: u32| match self.op(read).call {
            ModelCall::Count { count: Some(count) } => count.to_string(),
            _ => String::new(),
        };
        match rule {
            Rule::TooLow { read, since } => {
                let id = self.id(*read);
                let summary = match since {
                    None => format!("{id} saw {}, less than the increments acknowledged before it was invoked come to.", saw(*read)),
                    Some(since) => format!(
                        "{id} saw {}, less than the {} that {} had seen before and the increments acknowledged in between come to.",
                        saw(*read),
                        saw(*since),
                        self.id(*since)
                    ),
                };
                let kind = if self.recovers_later(*read, *since) { ViolationKind::StaleRead } else { ViolationKind::LostUpdate };
                (kind, summary, vec![])
            }
            Rule::TooHigh { read, since } => {
                let id = self.id(*read);
                let from = since.map_or(String::new(), |since| format!(" since {}, which saw {}", self.id(since), saw(since)));
                let summary = format!("{id} saw {}, more than all increments come to that could have happened{from}.", saw(*read));
                (ViolationKind::CountTooHigh, summary, vec![])
            }
            Rule::NoSum { read } => {
                let summary = format!("{} saw {}, which no choice of the increments adds up to.", self.id(*read), saw(*read));
                (ViolationKind::ReadOfNeverWritten, summary, vec![])
            }
            _ => (ViolationKind::NotLinearizable, String::new(), vec![]),
        }
    }

    /// Describes how an op shows that an element was present: "op 3 added 5", "op 7 saw 5".
    fn evidence_of(&self, place: u32, element: i64) -> String {
        match &self.op(place).call {
            ModelCall::Add { .. } => format!("{} added {element}, was acknowledged", self.id(place)),
            ModelCall::Push { .. } => format!("{} appended {element}, was acknowledged", self.id(place)),
            _ => format!("{} saw {element}", self.id(place)),
        }
    }

    fn verb(&self) -> &'static str {
        match self.question.request.model {
            ModelKind::ListAppend => "append",
            ModelKind::Queue => "enqueue",
            _ => "add",
        }
    }

    fn seen_by_others(&self, element: i64) -> bool {
        self.ops.iter().any(|op| match &op.call {
            ModelCall::Members { members: Some(members), .. } => members.binary_search(&element).is_ok(),
            ModelCall::Items { items: Some(items) } => items.contains(&element),
            ModelCall::Contains { member, found } => *member == element && *found == Some(true),
            _ => false,
        })
    }

    /// Returns whether the last read is high enough, so the increments were only missed, not lost.
    fn recovers_later(&self, read: u32, since: Option<u32>) -> bool {
        let answered = |op: &SearchOp| matches!(op.call, ModelCall::Count { count: Some(_) });
        let reads = (0u32..).zip(self.ops).filter(|(_, op)| answered(op));
        let last = reads.max_by_key(|(_, op)| op.invoked).map_or(read, |(place, _)| place);
        let low = |since| check_contradiction(self.question, &Rule::TooLow { read: last, since }).is_ok();
        last != read && !low(None) && !low(since)
    }

    /// Returns the ops of a rule, and the ops that added or removed its elements or ended its holds.
    fn support(&self, rule: &Rule) -> Vec<u32> {
        let mut support = rule.named();
        let elements = rule.elements();
        for (place, op) in (0u32..).zip(self.ops) {
            let about = |e: Option<i64>| e.is_some_and(|e| elements.contains(&e));
            let dequeues = matches!(op.call, ModelCall::Dequeue { .. }) && about(observed_element(&op.call));
            if about(added_element(&op.call)) || dequeues {
                support.push(place);
            }
        }
        let holds: &[&u32] = match rule {
            Rule::TwoHolders { one, two } => &[one, two],
            Rule::ReleasedWhileHeld { held, .. } => &[held],
            Rule::HeldByToken { earlier, .. } => &[earlier],
            _ => &[],
        };
        support.extend(holds.iter().filter_map(|&&acquire| end_of_hold(self.question, acquire)));
        support.sort_unstable();
        support.dedup();
        support
    }
}

fn list(items: &[i64]) -> String {
    let named: Vec<String> = items.iter().take(MAX_NAMED).map(i64::to_string).collect();
    let more = items.len().saturating_sub(MAX_NAMED);
    if more > 0 { format!("{} and {more} more", named.join(", ")) } else { named.join(", then ") }
}
