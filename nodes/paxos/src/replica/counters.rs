//! The counters of a node. They start at zero with the process and only increase.

/// Declares each counter once, and derives the operations on all of them.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters of one replica since its process started.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// Adds the counters of another process.
            pub fn add(&mut self, more: &Counters) {
                $(self.$name += more.$name;)*
            }

            /// All counters by name, for metrics.
            pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Requests received from clients.
    requests,
    /// Replies with [`crate::Outcome::Applied`].
    applied,
    /// Replies with [`crate::Outcome::Read`].
    reads,
    /// Replies with [`crate::Outcome::ConditionNotMet`].
    condition_not_met,
    /// Replies with [`crate::Outcome::Fate`].
    fates,
    /// Replies with [`crate::Outcome::NotApplied`].
    not_applied,
    /// Replies with [`crate::Outcome::Unknown`].
    unknown,
    /// Replies with [`crate::Outcome::Invalid`].
    invalid,
    /// Requests refused because the key's queue was full (also in `not_applied`).
    queue_full,
    /// Attempts begun, each at its own ballot. Operations that share a proposal share its attempt.
    attempts,
    /// Message round trips begun by coordinators. Operations that share a proposal share its round trip: this counts
    /// round trips on the network, while each reply reports how many its operation waited for.
    round_trips,
    /// Attempts that were outbid.
    preempted,
    /// Unfinished earlier updates finished by this node.
    repairs,
    /// Refreshes of lagging replicas.
    refreshes,
    /// Rounds resent because replies were missing.
    resends,
    /// Time spent in backoff, in nanoseconds.
    backoff_ns,
    /// Messages sent to other nodes.
    messages_sent,
    /// Messages received from other nodes.
    messages_received,
    /// Replies that were late, duplicated, or meant for an earlier process.
    answers_ignored,
    /// Messages dropped because no correct node sends them (from a non-member, or with impossible contents).
    messages_refused,
    /// Attempts given up because the replies of different nodes contradicted each other. Always 0 among correct nodes.
    contradictions,
    /// Promises made.
    promises,
    /// Updates accepted.
    accepts,
    /// Rows learned.
    learns,
    /// Rejects sent.
    rejects,
    /// Batches of records handed to the disk writer.
    batches,
    /// Records in these batches.
    records,
    /// Other nodes' requests refused because of a lease, or during the wait after a restart.
    busy_given,
    /// Times another node's lease delayed an operation of this node.
    held_off,
    /// Operations forwarded to a holder.
    forwards_sent,
    /// Forwarded operations accepted from other nodes.
    forwards_taken,
    /// Forwarded operations refused because this node did not hold the range, or no longer held it.
    forwards_refused,
    /// Reads answered from the node's own row under a read lease, without sending a message.
    local_reads,
    /// Leases acquired.
    leases_acquired,
    /// Leases extended.
    leases_extended,
    /// Leases that expired or were released.
    leases_ended,
    /// Accepted copies dropped by this node because every replica had learned the row.
    pruned,
    /// Decisions not pruned because the prune queue had no free slot.
    prune_dropped,
    /// Messages resent by the prune queue.
    prune_resends,
    /// Times that a key's state expired.
    expired,
    /// Requests rejected because their ballot was at or below the floor (also in `rejects`).
    below_floor,
    /// Puts begun, on the last-write-wins path.
    puts,
    /// Gets begun, on the last-write-wins path.
    gets,
    /// Operations answered from the result of another operation's round on the same key.
    told_along,
    /// Times a free key was reserved for clients that had just been refused.
    held_open,
    /// Times an operation that could only be refused was delayed behind an update.
    kept_back,
    /// Operations begun while another one on the same key was running in this node. Always 0 in a correct node: one
    /// operation per key runs at a time.
    overlaps,
}
