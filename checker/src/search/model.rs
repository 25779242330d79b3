//! The sequential models: how an op changes the state of a key, and which answers are possible.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};

/// The model of a key: `--model`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// A register: read, write, compare-and-set. Unlike elsewhere, values may repeat.
    CasRegister,
    /// A set: add, remove, contains, read all members.
    Set,
    /// A queue: first in, first out.
    Queue,
    /// A counter: add and read.
    Counter,
    /// A mutex: acquire and release. If values name the owner, only the holder may release. Fencing tokens in maps must
    /// increase.
    Mutex,
    /// A text: get, put and append.
    Text,
    /// A mutex that belongs to a process unless a value names the holder.
    OwnerMutex,
    /// A mutex where each successful acquire returns a fencing token, which must increase.
    FencedMutex,
    /// A list: append a value, read the whole list.
    ListAppend,
}

impl ModelKind {
    /// All models with their names.
    pub const ALL: [(ModelKind, &'static str); 9] = [
        (ModelKind::CasRegister, "cas-register"),
        (ModelKind::Set, "set"),
        (ModelKind::Queue, "queue"),
        (ModelKind::Counter, "counter"),
        (ModelKind::Mutex, "mutex"),
        (ModelKind::Text, "text"),
        (ModelKind::OwnerMutex, "owner-mutex"),
        (ModelKind::FencedMutex, "fenced-mutex"),
        (ModelKind::ListAppend, "list-append"),
    ];

    /// Returns the name of the model.
    pub fn word(self) -> &'static str {
        ModelKind::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, word)| word)
    }

    /// Returns the state before the first op.
    pub fn init(self) -> State {
        match self {
            ModelKind::CasRegister => State::Register(None),
            ModelKind::Set => State::Set(BTreeSet::new()),
            ModelKind::Queue => State::Queue(VecDeque::new()),
            ModelKind::Counter => State::Counter(0),
            ModelKind::Mutex | ModelKind::OwnerMutex | ModelKind::FencedMutex => State::Mutex(Lock::default()),
            ModelKind::Text => State::Text(None),
            ModelKind::ListAppend => State::List(vec![]),
        }
    }
}

impl std::str::FromStr for ModelKind {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let known = || ModelKind::ALL.iter().map(|(_, w)| *w).collect::<Vec<_>>().join(", ");
        ModelKind::ALL
            .iter()
            .find(|(_, word)| *word == s)
            .map(|(kind, _)| *kind)
            .ok_or_else(|| format!("model `{s}` is none of {}", known()))
    }
}

/// State of one key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum State {
    /// Value of a register; `None` is "never written".
    Register(Option<i64>),
    /// Members of a set.
    Set(BTreeSet<i64>),
    /// Items of a queue, front first.
    Queue(VecDeque<i64>),
    /// Value of a counter.
    Counter(i64),
    /// State of a mutex.
    Mutex(Lock),
    /// A text; `None` is "never put".
    Text(Option<String>),
    /// Values of a list.
    List(Vec<i64>),
}

/// State of a mutex.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Lock {
    /// The current holder; `None` if the mutex is free.
    pub held: Option<Claim>,
    /// The highest fencing token so far.
    pub highest_fence: Option<i64>,
}

/// The owner and the fencing token named by an acquire or release.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Claim {
    /// The owner; `None` if the op names none.
    #[serde(default)]
    pub owner: Option<i64>,
    /// The fencing token; `None` if the op names none.
    #[serde(default)]
    pub fence: Option<i64>,
}

impl Claim {
    /// Returns whether two ops may belong to the same hold: fields that both ops name must be equal.
    fn fits(self, other: Claim) -> bool {
        let same = |a: Option<i64>, b: Option<i64>| a.is_none() || b.is_none() || a == b;
        same(self.owner, other.owner) && same(self.fence, other.fence)
    }
}

/// An op with its answer. A field that is `None` is unknown and matches any state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "f")]
pub enum ModelCall {
    /// Register: a read.
    Read {
        /// The value it read; the outer `None` means "not reported".
        #[serde(default, with = "nested_option")]
        value: Option<Option<i64>>,
    },
    /// Register: a write.
    Write {
        /// The value written.
        new: i64,
    },
    /// Register: a CAS that took effect or may have taken effect.
    Cas {
        /// The expected value.
        expected: Option<i64>,
        /// The value it writes.
        new: i64,
    },
    /// Register: a CAS that did not find the expected value.
    Refused {
        /// The expected value.
        expected: Option<i64>,
        /// The value it found; the outer `None` means "not reported".
        #[serde(default, with = "nested_option")]
        current: Option<Option<i64>>,
    },
    /// Set: add a member.
    Add {
        /// The member.
        member: i64,
    },
    /// Set: remove a member.
    Remove {
        /// The member.
        member: i64,
        /// Whether the member was present.
        found: Option<bool>,
    },
    /// Set: ask whether it contains a member.
    Contains {
        /// The member.
        member: i64,
        /// Whether the member was present.
        found: Option<bool>,
    },
    /// Set: read all members.
    Members {
        /// The members read, sorted, without duplicates.
        members: Option<Vec<i64>>,
        /// Whether the answer listed a member twice, which is impossible in a set.
        #[serde(default)]
        twice: bool,
    },
    /// Queue: append at the back.
    Enqueue {
        /// The item.
        item: i64,
    },
    /// Queue: take an item from the front.
    Dequeue {
        /// The item returned; an inner `None` means "empty", the outer one "not reported".
        #[serde(default, with = "nested_option")]
        item: Option<Option<i64>>,
    },
    /// Counter: add an amount.
    Increment {
        /// The amount.
        by: i64,
    },
    /// Counter: read the value.
    Count {
        /// The value read.
        count: Option<i64>,
    },
    /// Mutex: acquire.
    Acquire(Claim),
    /// Mutex: release.
    Release(Claim),
    /// Text: read.
    Get {
        /// The text read; an inner `None` means "never put", an outer one "not reported". A text that was never put may
        /// also be read as empty.
        #[serde(default, with = "nested_option")]
        text: Option<Option<String>>,
    },
    /// Text: replace.
    Put {
        /// The new text.
        text: String,
    },
    /// Text: append.
    Append {
        /// The text to append.
        text: String,
    },
    /// List: append a value.
    Push {
        /// The value to append.
        item: i64,
    },
    /// List: read all values.
    Items {
        /// The values read, in order.
        items: Option<Vec<i64>>,
    },
}

/// Serialises a double option as a list of at most one element, because JSON's `null` is already used for a value here.
mod nested_option {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(value: &Option<Option<T>>, s: S) -> Result<S::Ok, S::Error> {
        value.iter().collect::<Vec<_>>().serialize(s)
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(d: D) -> Result<Option<Option<T>>, D::Error> {
        Ok(Vec::<Option<T>>::deserialize(d)?.into_iter().next())
    }
}

/// Returns the state after `call` in `state`, or `None` if that answer is impossible in `state`.
pub fn step(state: &State, call: &ModelCall) -> Option<State> {
    match (state, call) {
        (State::Register(now), _) => register(*now, call).map(State::Register),
        (State::Set(now), _) => set(now, call),
        (State::Queue(now), ModelCall::Enqueue { item }) => {
            let mut next = now.clone();
            next.push_back(*item);
            Some(State::Queue(next))
        }
        (State::Queue(now), ModelCall::Dequeue { item }) => {
            let mut next = now.clone();
            let front = next.pop_front();
            item.is_none_or(|reported| reported == front).then_some(State::Queue(next))
        }
        (State::Counter(now), ModelCall::Increment { by }) => Some(State::Counter(now.wrapping_add(*by))),
        (State::Counter(now), ModelCall::Count { count }) => count.is_none_or(|reported| reported == *now).then_some(State::Counter(*now)),
        (State::Mutex(now), _) => mutex(*now, call).map(State::Mutex),
        (State::Text(now), ModelCall::Get { text }) => {
            let fits = text.as_ref().is_none_or(|seen| seen == now || (now.is_none() && seen.as_deref() == Some("")));
            fits.then(|| State::Text(now.clone()))
        }
        (State::Text(_), ModelCall::Put { text }) => Some(State::Text(Some(text.clone()))),
        (State::Text(now), ModelCall::Append { text }) => Some(State::Text(Some(format!("{}{text}", now.as_deref().unwrap_or(""))))),
        (State::List(now), ModelCall::Push { item }) => Some(State::List(now.iter().chain([item]).copied().collect())),
        (State::List(now), ModelCall::Items { items }) => items.as_ref().is_none_or(|seen| seen == now).then(|| State::List(now.clone())),
        // A call of another model is impossible in any state, so a request that mixes models has no order.
        (State::Queue(_) | State::Counter(_) | State::Text(_) | State::List(_), _) => None,
    }
}

fn mutex(now: Lock, call: &ModelCall) -> Option<Lock> {
    match (now.held, call) {
        (None, ModelCall::Acquire(claim)) => {
            // A token that does not increase would let a client act after its lock has passed to another client.
            let rises = claim.fence.is_none_or(|fence| now.highest_fence.is_none_or(|highest| fence > highest));
            rises.then_some(Lock { held: Some(*claim), highest_fence: claim.fence.or(now.highest_fence) })
        }
        (Some(held), ModelCall::Release(claim)) => held.fits(*claim).then_some(Lock { held: None, ..now }),
        _ => None,
    }
}

fn register(now: Option<i64>, call: &ModelCall) -> Option<Option<i64>> {
    match call {
        ModelCall::Read { value } => value.is_none_or(|reported| reported == now).then_some(now),
        ModelCall::Write { new } => Some(Some(*new)),
        ModelCall::Cas { expected, new } => (*expected == now).then_some(Some(*new)),
        ModelCall::Refused { expected, current } => (*expected != now && current.is_none_or(|reported| reported == now)).then_some(now),
        _ => None,
    }
}

fn set(now: &BTreeSet<i64>, call: &ModelCall) -> Option<State> {
    let same = || State::Set(now.clone());
    match call {
        ModelCall::Add { member } => {
            let mut next = now.clone();
            next.insert(*member);
            Some(State::Set(next))
        }
        ModelCall::Remove { member, found } => {
            let mut next = now.clone();
            let was = next.remove(member);
            found.is_none_or(|reported| reported == was).then_some(State::Set(next))
        }
        ModelCall::Contains { member, found } => found.is_none_or(|reported| reported == now.contains(member)).then(same),
        ModelCall::Members { members, twice } => (!twice && members.as_ref().is_none_or(|seen| seen.iter().eq(now))).then(same),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(model: ModelKind, calls: &[ModelCall], fits: bool) {
        let mut state = Some(model.init());
        for call in calls {
            state = state.and_then(|s| step(&s, call));
        }
        assert_eq!(state.is_some(), fits, "{model:?} {calls:?}");
    }

    #[test]
    fn models_accept_only_possible_answers() {
        use ModelCall::*;
        use ModelKind as M;
        check(
            M::CasRegister,
            &[Read { value: Some(None) }, Write { new: 1 }, Cas { expected: Some(1), new: 1 }, Read { value: Some(Some(1)) }],
            true,
        );
        check(M::CasRegister, &[Write { new: 1 }, Refused { expected: Some(2), current: Some(Some(1)) }], true);
        check(M::CasRegister, &[Write { new: 1 }, Refused { expected: Some(1), current: None }], false);
        check(M::CasRegister, &[Cas { expected: Some(1), new: 2 }], false);
        check(
            M::Set,
            &[
                Add { member: 1 },
                Contains { member: 1, found: Some(true) },
                Remove { member: 1, found: Some(true) },
                Members { members: Some([].into()), twice: false },
            ],
            true,
        );
        check(M::Set, &[Add { member: 1 }, Members { members: Some([].into()), twice: false }], false);
        check(
            M::Queue,
            &[
                Enqueue { item: 1 },
                Enqueue { item: 2 },
                Dequeue { item: Some(Some(1)) },
                Dequeue { item: None },
                Dequeue { item: Some(None) },
            ],
            true,
        );
        check(M::Queue, &[Enqueue { item: 1 }, Enqueue { item: 2 }, Dequeue { item: Some(Some(2)) }], false);
        check(M::Counter, &[Increment { by: 2 }, Increment { by: -3 }, Count { count: Some(-1) }], true);
        check(M::Counter, &[Increment { by: 2 }, Count { count: Some(0) }], false);
        let of = |owner: i64| Claim { owner: Some(owner), fence: None };
        let fenced = |fence: i64| Claim { owner: None, fence: Some(fence) };
        let anyone = Claim::default();
        check(M::Set, &[Add { member: 1 }, Members { members: Some([1].into()), twice: true }], false);
        check(M::Mutex, &[Acquire(of(1)), Release(anyone), Acquire(fenced(4)), Release(of(2)), Acquire(fenced(5))], true);
        check(M::Mutex, &[Release(anyone)], false);
        check(M::Mutex, &[Acquire(fenced(4)), Release(fenced(5))], false);
        check(M::FencedMutex, &[Acquire(fenced(4)), Release(anyone), Acquire(anyone), Release(anyone), Acquire(fenced(4))], false);
        check(M::Text, &[Get { text: Some(None) }, Get { text: Some(Some("".into())) }, Put { text: "".into() }], true);
        check(M::Text, &[Put { text: "".into() }, Get { text: Some(None) }], false);
        check(M::Mutex, &[Acquire(of(1)), Release(of(1)), Acquire(of(2))], true);
        check(M::Mutex, &[Acquire(of(1)), Acquire(of(2))], false);
        check(M::Mutex, &[Acquire(of(1)), Release(of(2))], false);
        check(M::Text, &[Put { text: "a".into() }, Append { text: "b".into() }, Get { text: Some(Some("ab".into())) }], true);
        check(M::Text, &[Get { text: Some(Some("a".into())) }], false);
        check(M::Text, &[Add { member: 1 }], false);
        let list = |items: &[i64]| Items { items: Some(items.to_vec()) };
        check(M::ListAppend, &[list(&[]), Push { item: 2 }, Push { item: 1 }, list(&[2, 1])], true);
        check(M::ListAppend, &[Push { item: 2 }, Push { item: 1 }, list(&[1, 2])], false);
    }

    #[test]
    fn models_parse_by_name() {
        for (kind, word) in ModelKind::ALL {
            assert_eq!((word.parse(), kind.word()), (Ok(kind), word));
        }
        assert!("stack".parse::<ModelKind>().unwrap_err().contains("cas-register, set, queue"));
    }

    #[test]
    fn nested_options_round_trip() {
        for value in [None, Some(None), Some(Some(3))] {
            let call = ModelCall::Read { value };
            let json = serde_json::to_string(&call).unwrap();
            assert_eq!(serde_json::from_str::<ModelCall>(&json).unwrap(), call, "{json}");
        }
    }
}
