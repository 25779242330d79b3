//! Deliberate bugs, to test the tester. Each has one decision point, and a set lists the active ones.
//!
//! Compiled with the cargo feature `mutants`. Without it, [`Mutants::has`] is the constant `false` and every decision
//! point is optimized away. Issues written #n are `ScyllaDB`'s, and CASSANDRA-n are Apache Cassandra's.

/// Declares the enum, the list and the registry from one table.
macro_rules! mutants {
    ($($variant:ident, $name:literal, $class:ident, $source:literal, $breaks:literal;)*) => {
        /// A deliberate bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Mutant {
            $(#[doc = $breaks] $variant,)*
        }

        impl Mutant {
            /// All deliberate bugs, in the order of the registry.
            pub const ALL: &'static [Mutant] = &[$(Mutant::$variant,)*];

            /// Description of this bug.
            #[must_use]
            pub fn info(self) -> &'static MutantInfo {
                &REGISTRY[self as usize]
            }

            /// The bug with this name, if there is one.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Mutant> {
                Mutant::ALL.iter().copied().find(|mutant| mutant.info().name == name)
            }
        }

        /// All deliberate bugs, with their sources and effects.
        pub const REGISTRY: &[MutantInfo] = &[
            $(MutantInfo {
                mutant: Mutant::$variant,
                name: $name,
                class: MutantClass::$class,
                source: $source,
                breaks: $breaks,
            },)*
        ];
    };
}

mutants! {
    AcceptIgnoresPromise, "accept-ignores-promise", Safety, "classic",
        "accept does not check the promise: an older coordinator overwrites a newer one's update";
    AcceptKeepsPromisedLow, "accept-keeps-promised-low", Safety, "Scylla #6139",
        "accept does not raise the promise: a lower ballot then overwrites a chosen update";
    SkipEmptyFenceCas, "skip-empty-fence-cas", Control, "CASSANDRA-12126, Scylla #6299",
        "a refused CAS proposes no fence: an older update can be chosen after the answer (no history can show it)";
    SkipEmptyFenceRead, "skip-empty-fence-read", Control, "CASSANDRA-12126",
        "a read proposes no fence: an older update can be chosen after the answer (no history can show it)";
    NoReprepareAfterRefresh, "no-reprepare-after-refresh", Safety, "Scylla #24630",
        "no new prepare after the refresh of a lagging replica: a promise given before the refresh hides the row";
    NoRefresh, "no-refresh", Safety, "CASSANDRA-5062",
        "a lagging replica is not refreshed: a fence accepted there hides the newest row";
    PromiseNotSynced, "promise-not-synced", Safety, "Scylla 0fc48515d8",
        "a promise is answered before it is durable: power loss takes it back";
    AcceptNotSynced, "accept-not-synced", Safety, "Scylla 0fc48515d8",
        "an accept is answered before it is durable: power loss takes it back";
    IgnoreAccepted, "ignore-accepted", Safety, "classic",
        "an update in progress is not repaired: a chosen one is overwritten";
    QuorumTooSmall, "quorum-too-small", Safety, "classic",
        "half of the nodes are taken for a quorum: two halves choose two updates";
    PartialAcceptIsFail, "partial-accept-is-fail", Safety, "CASSANDRA-6013",
        "a propose accepted by fewer than a quorum is answered as not applied, yet may be repaired";
    LearnErrorIsFail, "learn-error-is-fail", Safety, "Scylla #7258 (Jepsen 2020)",
        "a chosen update that too few replicas learned in time is answered as not applied";
    NackAllIsFail, "nack-all-is-fail", Safety, "CASSANDRA-6013",
        "a propose rejected by all is answered as not applied although an earlier copy may have been accepted";
    BlindRetry, "blind-retry", Safety, "Scylla PR 25602, CASSANDRA-9328",
        "an ambiguous propose is tried again without looking for its id: refused by its own write, or applied twice";
    ReuseBallot, "reuse-ballot", Safety, "gryadka (read in source)",
        "a ballot whose proposal failed is used again for another update: it stands for two";
    PromiseOnEqual, "promise-on-equal", Safety, "derived",
        "ballots are compared by time only, and an equal time is promised and accepted";
    TrustOneReplica, "trust-one-replica", Safety, "Scylla #4567/#7116 (Jepsen)",
        "the condition is judged on one replica's row";
    LwtReadsAtOne, "lwt-reads-at-one", Safety, "classic",
        "a serial read is served from one replica's row";
    ApplyAtAccept, "apply-at-accept", Safety, "derived",
        "the row is changed at accept, before the update is chosen";
    CountDuplicateAnswers, "count-duplicate-answers", Safety, "derived",
        "a duplicate answer counts twice to the quorum";
    FateWithoutFence, "fate-without-fence", Safety, "derived",
        "a question for a fate answers not applied without recording the abort: a late request applies it after all";
    FastProposesEmpty, "fast-proposes-empty", Safety, "derived",
        "a read at a ballot promised ahead proposes nothing: it overwrites the accepted, not yet learned update before it";
    FastKeepsCacheAfterFailure, "fast-keeps-cache-after-failure", Safety, "gryadka (read in source)",
        "after a failed proposal the row at hand is proposed on again, without a prepare: what others wrote is lost";
    ToldAlongLate, "told-along-late", Safety, "derived",
        "a waiting operation gets a piggybacked reply although it arrived after the deciding round had begun: it may see a value that was overwritten before it was sent";
    PruneDropsBallot, "prune-drops-ballot", Safety, "Scylla #6154",
        "prune forgets the ballots too: a late message of an older ballot then brings back what was overwritten";
    LearnNotSynced, "learn-not-synced", Safety, "Scylla #6114",
        "a learned row is not in the log: once the accepted copy is pruned, a crash of all nodes loses it";
    TtlByLocalTime, "ttl-by-local-time", Safety, "Scylla #6149",
        "Paxos state expires by the local time of its write: an older ballot then wins a second time";
    AnswerBeforeWrite, "answer-before-write", Safety, "derived",
        "records sit in process memory and are written every 200 ms, answers leave at once";
    AcceptsOwnAmnesia, "accepts-own-amnesia", Safety, "derived",
        "a node with a shorter log than its peers remember votes, and they let it: what it promised and accepted is forgotten";
    LeaseNoRestartWait, "lease-no-restart-wait", Safety, "PaxosLease",
        "a grantor grants and answers at once after a restart: it has forgotten the lease that still runs";
    LeaseTimerAtAck, "lease-timer-at-ack", Safety, "PaxosLease",
        "the holder's term starts when the answers arrive: on a slow link it relies on its lease for longer than was granted";
    LeaseReleaseAny, "lease-release-any", Safety, "PaxosLease",
        "a release does not name what it gives back: a late one ends a lease that a node still relies on";
    LeaseIgnoresDrift, "lease-ignores-drift", Safety, "PaxosLease",
        "the holder believes for the whole lease time: with clocks that drift within the bound, longer than was granted";
    LearnKeepsPromisedLow, "learn-keeps-promised-low", Crash, "derived",
        "a learned row above the promise does not raise it: the replica's own assertion ends the node";
    NoBallotBump, "no-ballot-bump", Liveness, "Scylla HEAD, CASSANDRA-5667",
        "the ballot floor is not raised by rejects: a node with a slow clock starves";
    NoBackoff, "no-backoff", Liveness, "classic",
        "outbid coordinators try again at once: they outbid each other for ever";
    PruneLeak, "prune-leak", Leak, "Scylla #6116/#6124",
        "the slots of the prune queue are never returned: it fills up, and accepted copies stay for ever";
    KeyLockLeak, "key-lock-leak", Leak, "Scylla #19698",
        "the key's lock is released without being held: two coordinations of one key in a node";
    NonUniqueNonce, "non-unique-nonce", Control, "control",
        "ballots may repeat at prepare: harmless, since only one of two equal ones gets a quorum";
    KeepAcceptedAtLearn, "keep-accepted-at-learn", Control, "control",
        "an overtaken accepted update is kept after learn: harmless, since it is not above the learned ballot";
}

/// The kind of harm that a deliberate bug does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MutantClass {
    /// Some checker must judge a run invalid.
    Safety,
    /// The starvation or liveness checks must report it.
    Liveness,
    /// The state checks or counters must report it.
    Leak,
    /// An assertion in the core must crash the node, and the run must report the crash.
    Crash,
    /// No black-box history can reveal it, so runs must stay clean.
    Control,
}

impl MutantClass {
    /// The name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            MutantClass::Safety => "safety",
            MutantClass::Liveness => "liveness",
            MutantClass::Leak => "leak",
            MutantClass::Crash => "crash",
            MutantClass::Control => "control",
        }
    }
}

/// An entry of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MutantInfo {
    /// The bug.
    pub mutant: Mutant,
    /// Its name on the command line.
    pub name: &'static str,
    /// The harm it does.
    pub class: MutantClass,
    /// The system or issue that had it.
    pub source: &'static str,
    /// One-line description of what goes wrong.
    pub breaks: &'static str,
}

/// The set of active deliberate bugs. Normally empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mutants(u64);

impl Mutants {
    /// The empty set: the correct protocol.
    pub const NONE: Mutants = Mutants(0);

    /// The set with only this bug.
    #[must_use]
    pub fn only(mutant: Mutant) -> Self {
        Mutants(1 << mutant as u64)
    }

    /// This set with one more bug.
    #[must_use]
    pub fn with(self, mutant: Mutant) -> Self {
        Mutants(self.0 | (1 << mutant as u64))
    }

    /// Whether the bug is active. Always false without the feature `mutants`.
    #[must_use]
    #[inline]
    pub fn has(self, mutant: Mutant) -> bool {
        cfg!(feature = "mutants") && self.0 & (1 << mutant as u64) != 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_none(self) -> bool {
        !cfg!(feature = "mutants") || self.0 == 0
    }
}

const _: () = assert!(Mutant::ALL.len() <= 64, "a set of mutants is one word");
