//! Limits on a node's queues.

/// Limits on a node's queues. Each field documents what happens at its limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Client connections. Further ones are refused with a readable error.
    pub client_connections: usize,
    /// Open operations per connection. Further ones are answered `NotApplied(TooManyInFlight)`.
    pub in_flight_per_connection: usize,
    /// Bytes of replies that one client has not read yet. Beyond the limit, the connection is closed and logged.
    pub client_outbound_bytes: usize,
    /// Bytes of unread replies, over all clients. Beyond the limit, connections with unread replies are closed and
    /// logged.
    pub reply_bytes: usize,
    /// Bytes of frames that clients have begun but not finished, over all clients. Beyond the limit, the connection
    /// whose frame has been unfinished the longest is closed.
    pub partial_frame_bytes: usize,
    /// Bytes of open operations, over all clients, including a fixed amount of overhead for each. Beyond the limit,
    /// new ones are answered `NotApplied(Busy)`.
    pub request_bytes: usize,
    /// Bytes of messages waiting for one peer. Beyond the limit, new messages are dropped and counted.
    pub peer_outbound_bytes: usize,
    /// Events waiting for the event loop. Beyond the limit, connections are not read until the loop has caught up.
    pub inbox_events: usize,
    /// Bytes of these events. Beyond the limit, the same happens.
    pub inbox_bytes: usize,
    /// Operations waiting for one key. Further ones are answered `NotApplied(Busy)`.
    pub queue_per_key: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            client_connections: 1_024,
            in_flight_per_connection: 4_096,
            client_outbound_bytes: 16 << 20,
            reply_bytes: 32 << 20,
            partial_frame_bytes: 32 << 20,
            request_bytes: 64 << 20,
            peer_outbound_bytes: 4 << 20,
            inbox_events: 16_384,
            inbox_bytes: 64 << 20,
            queue_per_key: 1_024,
        }
    }
}
