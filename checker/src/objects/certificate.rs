//! A verdict's proof, as data. Ops are named by their place in the question.

use serde::Serialize;

/// A proof of a verdict on one key.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "proves", content = "by")]
pub enum Certificate {
    /// Places in an order that explains every answer and respects real time.
    Valid(Vec<u32>),
    /// A contradiction.
    Invalid(Rule),
}

/// Why no order exists. `element` is a member of a set, a value of a list or an item of a queue.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "rule")]
pub enum Rule {
    /// `observer` saw `element`, and no op that may have happened puts it in.
    NeverAsked {
        /// Who saw it.
        observer: u32,
        /// What it saw.
        element: i64,
    },
    /// `observer` saw `element` and completed before any op that puts it in was invoked.
    TooEarly {
        /// Who saw it.
        observer: u32,
        /// What it saw.
        element: i64,
    },
    /// One answer has an element twice that is put in at most once.
    Twice {
        /// Whose answer.
        observer: u32,
    },
    /// Set, list: `present` shows that `element` was in when it completed; `absent`, invoked later, did not see it.
    Missed {
        /// An op that put the element in, or saw it.
        present: u32,
        /// An op that saw that it was not there.
        absent: u32,
        /// The element.
        element: i64,
    },
    /// Set, list: `first` was in when `present` completed, `second` was not when `absent` was invoked later, so `first` came
    /// before `second`. `observer` saw `second`, and not `first` before it.
    Crossed {
        /// An op that put `first` in, or saw it.
        present: u32,
        /// An op that put `second` in, or saw that it was not there.
        absent: u32,
        /// Who saw the second without the first.
        observer: u32,
        /// The element that came first.
        first: i64,
        /// The element that came second.
        second: i64,
    },
    /// Set: each of two reads saw an element that the other one did not.
    Incomparable {
        /// One read.
        one: u32,
        /// The other.
        two: u32,
        /// What only `one` saw.
        only_one: i64,
        /// What only `two` saw.
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
    /// Queue: two dequeues got an item that was enqueued once.
    DequeuedTwice {
        /// One dequeue.
        one: u32,
        /// The other.
        two: u32,
    },
    /// Queue: `first` was in before `second` was enqueued, and `second` was out before any dequeue that can have got `first`
    /// was invoked.
    OutOfOrder {
        /// The item that came first.
        first: i64,
        /// The item that went first.
        second: i64,
    },
    /// Queue: each of the items has to be out when a later one was, by `by`. None was dequeued by an op that says so, and fewer
    /// dequeues with an unknown outcome were invoked by then.
    Overdrawn {
        /// The items.
        items: Vec<i64>,
        /// The time.
        by: u64,
    },
    /// Queue: `dequeue` found the queue empty. The items were in it, one taking over from the other, all the time it ran.
    FalseEmpty {
        /// The dequeue.
        dequeue: u32,
        /// The items.
        items: Vec<i64>,
    },
    /// Lock: both holds had begun before any op was invoked that can have ended either.
    TwoHolders {
        /// An acquire.
        one: u32,
        /// Another.
        two: u32,
    },
    /// Lock: a release ran while another holder had the lock all the time.
    ReleasedWhileHeld {
        /// The acquire of the holder.
        held: u32,
        /// The release.
        release: u32,
    },
    /// Lock: by their tokens `earlier` came first; `later` completed before any op was invoked that can have ended that hold.
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
        /// The other.
        two: u32,
    },
    /// Lock: when `release` completed, more releases had completed than acquires had been invoked.
    NotHeld {
        /// The release.
        release: u32,
    },
    /// Counter: `read` saw less than is certain: what `since` saw, or the start, and the increments in between.
    TooLow {
        /// The read.
        read: u32,
        /// An earlier read; absent for the start.
        since: Option<u32>,
    },
    /// Counter: `read` saw more than what `since` saw, or the start, and all increments that can have happened in between.
    TooHigh {
        /// The read.
        read: u32,
        /// An earlier read; absent for the start.
        since: Option<u32>,
    },
    /// Counter: no number of equal increments comes to what `read` saw.
    NoSum {
        /// The read.
        read: u32,
    },
}

impl Rule {
    /// The ops that the rule names by themselves; those that put elements in come on top.
    pub(super) fn named(&self) -> Vec<u32> {
        match self {
            Rule::NeverAsked { observer, .. } | Rule::TooEarly { observer, .. } | Rule::Twice { observer } => vec![*observer],
            Rule::Missed { present, absent, .. } => vec![*present, *absent],
            Rule::Crossed { present, absent, observer, .. } => vec![*present, *absent, *observer],
            Rule::Incomparable { one, two, .. }
            | Rule::Diverged { one, two, .. }
            | Rule::DequeuedTwice { one, two }
            | Rule::TwoHolders { one, two }
            | Rule::SameToken { one, two } => vec![*one, *two],
            Rule::OutOfOrder { .. } | Rule::Overdrawn { .. } => vec![],
            Rule::FalseEmpty { dequeue, .. } => vec![*dequeue],
            Rule::ReleasedWhileHeld { held, release } => vec![*held, *release],
            Rule::HeldByToken { earlier, later } => vec![*earlier, *later],
            Rule::TokenWentBack { before, after } => vec![*before, *after],
            Rule::NotHeld { release } => vec![*release],
            Rule::TooLow { read, since } | Rule::TooHigh { read, since } => since.iter().copied().chain([*read]).collect(),
            Rule::NoSum { read } => vec![*read],
        }
    }

    /// The elements it is about.
    pub(super) fn elements(&self) -> Vec<i64> {
        match self {
            Rule::NeverAsked { element, .. } | Rule::TooEarly { element, .. } | Rule::Missed { element, .. } => vec![*element],
            Rule::Crossed { first, second, .. } | Rule::OutOfOrder { first, second } => vec![*first, *second],
            Rule::Incomparable { only_one, only_two, .. } => vec![*only_one, *only_two],
            Rule::Overdrawn { items, .. } | Rule::FalseEmpty { items, .. } => items.clone(),
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
