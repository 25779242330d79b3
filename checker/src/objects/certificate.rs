//! The proof of a verdict, as data. Ops are identified by their position in the question.

use serde::Serialize;

/// A proof of a verdict on one key.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "proves", content = "by")]
pub enum Certificate {
    /// Positions of the ops in an order that explains every answer and respects real time.
    Valid(Vec<u32>),
    /// A contradiction.
    Invalid(Rule),
}

/// The reason why no order exists. `element` is a member of a set, a value of a list or an item of a queue.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "rule")]
pub enum Rule {
    /// `observer` saw `element`, and no op that may have happened adds it.
    NeverAdded {
        /// The op that saw it.
        observer: u32,
        /// The element.
        element: i64,
    },
    /// `observer` saw `element` and completed before any op that adds it was invoked.
    TooEarly {
        /// The op that saw it.
        observer: u32,
        /// The element.
        element: i64,
    },
    /// One answer contains an element twice although the element is added at most once.
    Twice {
        /// The op that returned that answer.
        observer: u32,
    },
    /// Set, list: `present` shows that `element` was present when it completed; `absent`, invoked later, did not see it.
    Missed {
        /// An op that added the element or saw it.
        present: u32,
        /// An op that found the element missing.
        absent: u32,
        /// The element.
        element: i64,
    },
    /// Set, list: `first` was present when `present` completed, and `second` was still absent when `absent` was invoked
    /// later, so `first` was added before `second`. `observer` saw `second`, but not `first` before it.
    Crossed {
        /// An op that added `first` or saw it.
        present: u32,
        /// An op that added `second` or found it missing.
        absent: u32,
        /// The op that saw the second element without the first.
        observer: u32,
        /// The element that was added first.
        first: i64,
        /// The element that was added second.
        second: i64,
    },
    /// Set: each of two reads saw an element that the other one did not.
    Incomparable {
        /// One read.
        one: u32,
        /// The other.
        two: u32,
        /// An element that only `one` saw.
        only_one: i64,
        /// An element that only `two` saw.
        only_two: i64,
    },
    /// List: two reads differ at a position that both have.
    Diverged {
        /// One read.
        one: u32,
        /// The other.
        two: u32,
        /// The position, from 0.
        at: usize,
    },
    /// Queue: two dequeues returned the same item, which was enqueued only once.
    DequeuedTwice {
        /// One dequeue.
        one: u32,
        /// The other.
        two: u32,
    },
    /// Queue: `first` was enqueued before `second`, and `second` was dequeued before the invocation of any dequeue that
    /// could have returned `first`.
    OutOfOrder {
        /// The item that was enqueued first.
        first: i64,
        /// The item that was dequeued first.
        second: i64,
    },
    /// Queue: each of the items must have been dequeued by `by`, because a later item was. No answered dequeue returned
    /// any of them, and by then there were fewer dequeues of unknown outcome than items.
    TooFewDequeues {
        /// The items that must have been dequeued.
        items: Vec<i64>,
        /// The time by which the items must have been dequeued.
        by: u64,
    },
    /// Queue: `dequeue` found the queue empty, although it contained at least one of the items at every instant of the
    /// interval.
    FalseEmpty {
        /// The dequeue that found the queue empty.
        dequeue: u32,
        /// The items that together cover the interval.
        items: Vec<i64>,
    },
    /// Lock: both holds began before the invocation of any op that could have ended either of them.
    TwoHolders {
        /// One acquire.
        one: u32,
        /// The other acquire.
        two: u32,
    },
    /// Lock: another client held the lock for the whole duration of a release.
    ReleasedWhileHeld {
        /// The acquire of the holder.
        held: u32,
        /// The release.
        release: u32,
    },
    /// Lock: according to the tokens, `earlier` came first, but `later` completed before the invocation of any op that
    /// could have ended the hold of `earlier`.
    HeldByToken {
        /// The acquire with the lower token.
        earlier: u32,
        /// The acquire with the higher one.
        later: u32,
    },
    /// Lock: `after` was invoked after `before` had completed, and its token is not higher.
    TokenWentBack {
        /// The earlier acquire.
        before: u32,
        /// The later one.
        after: u32,
    },
    /// Lock: two acquires got the same token.
    SameToken {
        /// One acquire.
        one: u32,
        /// The other acquire.
        two: u32,
    },
    /// Lock: when `release` completed, more releases had completed than acquires had been invoked.
    NotHeld {
        /// The release.
        release: u32,
    },
    /// Counter: `read` returned less than the minimum: the value of `since`, or the initial value, plus the certain
    /// increments in between.
    TooLow {
        /// The read.
        read: u32,
        /// An earlier read; `None` for the initial value.
        since: Option<u32>,
    },
    /// Counter: `read` returned more than the maximum: the value of `since`, or the initial value, plus all increments
    /// that could have happened in between.
    TooHigh {
        /// The read.
        read: u32,
        /// An earlier read; `None` for the initial value.
        since: Option<u32>,
    },
    /// Counter: no number of equal increments adds up to the value of `read`.
    NoSum {
        /// The read.
        read: u32,
    },
}

impl Rule {
    /// Returns the ops that the rule names directly. A proof also needs the ops that add the elements.
    pub(super) fn named(&self) -> Vec<u32> {
        match self {
            Rule::NeverAdded { observer, .. } | Rule::TooEarly { observer, .. } | Rule::Twice { observer } => vec![*observer],
            Rule::Missed { present, absent, .. } => vec![*present, *absent],
            Rule::Crossed { present, absent, observer, .. } => vec![*present, *absent, *observer],
            Rule::Incomparable { one, two, .. }
            | Rule::Diverged { one, two, .. }
            | Rule::DequeuedTwice { one, two }
            | Rule::TwoHolders { one, two }
            | Rule::SameToken { one, two } => vec![*one, *two],
            Rule::OutOfOrder { .. } | Rule::TooFewDequeues { .. } => vec![],
            Rule::FalseEmpty { dequeue, .. } => vec![*dequeue],
            Rule::ReleasedWhileHeld { held, release } => vec![*held, *release],
            Rule::HeldByToken { earlier, later } => vec![*earlier, *later],
            Rule::TokenWentBack { before, after } => vec![*before, *after],
            Rule::NotHeld { release } => vec![*release],
            Rule::TooLow { read, since } | Rule::TooHigh { read, since } => since.iter().copied().chain([*read]).collect(),
            Rule::NoSum { read } => vec![*read],
        }
    }

    /// Returns the elements that the rule names.
    pub(super) fn elements(&self) -> Vec<i64> {
        match self {
            Rule::NeverAdded { element, .. } | Rule::TooEarly { element, .. } | Rule::Missed { element, .. } => vec![*element],
            Rule::Crossed { first, second, .. } | Rule::OutOfOrder { first, second } => vec![*first, *second],
            Rule::Incomparable { only_one, only_two, .. } => vec![*only_one, *only_two],
            Rule::TooFewDequeues { items, .. } | Rule::FalseEmpty { items, .. } => items.clone(),
            Rule::Twice { .. }
            | Rule::Diverged { .. }
            | Rule::DequeuedTwice { .. }
            | Rule::TwoHolders { .. }
            | Rule::ReleasedWhileHeld { .. }
            | Rule::HeldByToken { .. }
            | Rule::TokenWentBack { .. }
            | Rule::SameToken { .. }
            | Rule::NotHeld { .. }
            | Rule::TooLow { .. }
            | Rule::TooHigh { .. }
            | Rule::NoSum { .. } => vec![],
        }
    }
}
