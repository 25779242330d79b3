//! The queue of one direction of one connection, which decides when each piece may leave. Pure: no socket, no clock.
//!
//! A lane is a queue in order of arrival, plus a few frames held back until later ones have overtaken them. It is
//! used only while the link has a rule or the connection is not yet open: undisturbed bytes never enter it.

use std::collections::VecDeque;

use heckle_faults::LinkEffect;

use super::rules::{Duplicate, FrameAction, Hold, LinkId, RuleKey, Rules, Traffic};
use super::splitter::Unit;

/// Number of bytes in a lane at which backpressure stops its writer, chosen above the bandwidth-delay product of
/// any test (80 MB/s at 50 ms). A single read may exceed it.
const LANE_BYTES: usize = 4 << 20;
/// Bounds of the lane's size on a slow link: the lane holds a quarter of a second of traffic, so that its writer is soon slowed down.
const SLOW_LANE_BYTES: (u64, u64) = (16 << 10, LANE_BYTES as u64);
/// Bounds of the piece size of a byte stream on a slow link: sending one piece takes a hundredth of a second.
const SLOW_PIECE_BYTES: (u64, u64) = (256, 64 << 10);
/// Overhead added to the size of each piece, so that the number of small frames is bounded as well.
const PIECE_COST: usize = 128;
/// Maximum number of held frames. Further frames keep their place in the queue.
const MAX_HELD: usize = 64;

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    /// In order, after all bytes.
    Fin,
    /// With RST.
    Reset,
}

/// A piece, or the end, that leaves a lane.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Departure {
    /// A piece.
    Piece(Box<[u8]>),
    /// The end of the stream; nothing follows.
    End(Close),
}

#[derive(Debug)]
enum Content {
    Unit(Unit),
    CopyFor(RuleKey),
    End(Close),
}

#[derive(Debug)]
struct QueuedPiece {
    what: Content,
    bytes: Box<[u8]>,
    seq: u64,
    arrived: u64,
    due: u64,
}

#[derive(Debug)]
struct HeldPiece {
    waiting: QueuedPiece,
    hold: Hold,
    overtaken: u32,
}

impl HeldPiece {
    fn due(&self) -> u64 {
        let patience = if self.overtaken >= self.hold.overtakers { 0 } else { self.hold.at_most_ns };
        self.waiting.due.saturating_add(patience)
    }
}

/// The queue of one direction.
#[derive(Debug)]
pub(super) struct Lane {
    traffic: Traffic,
    gate: LinkId,
    queue: VecDeque<QueuedPiece>,
    aside: Vec<HeldPiece>,
    charged: usize,
    next_seq: u64,
    last_due: u64,
}

impl Lane {
    /// Creates a lane for `traffic` that follows the cuts and other rules of the link `gate`.
    pub(super) fn new(traffic: Traffic, gate: LinkId) -> Lane {
        Lane { traffic, gate, queue: VecDeque::new(), aside: vec![], charged: 0, next_seq: 0, last_due: 0 }
    }

    pub(super) fn traffic(&self) -> Traffic {
        self.traffic
    }

    pub(super) fn gate(&self) -> LinkId {
        self.gate
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.aside.is_empty()
    }

    /// Whether its writer must wait.
    pub(super) fn is_full(&self, rules: &Rules) -> bool {
        let slow = rules.rate(self.gate).map(|rate| (rate / 4).clamp(SLOW_LANE_BYTES.0, SLOW_LANE_BYTES.1) as usize);
        self.charged >= slow.unwrap_or(LANE_BYTES)
    }

    /// Returns the amount that a piece adds to the evidence: one, or its number of bytes.
    fn amount(&self, bytes: usize) -> u64 {
        match self.traffic {
            Traffic::Messages | Traffic::Conversation | Traffic::Answers => 1,
            Traffic::Bytes => bytes as u64,
        }
    }

    /// Returns the amount of waiting data, in the unit of the evidence.
    pub(super) fn waiting(&self) -> u64 {
        let units = self.queue.iter().filter(|w| matches!(w.what, Content::Unit(_)));
        units.map(|w| self.amount(w.bytes.len())).sum()
    }

    /// Whether bytes may be forwarded directly, without entering the lane.
    pub(super) fn is_open(&self, rules: &Rules) -> bool {
        self.is_empty() && (rules.is_undisturbed(self.gate) || (self.traffic == Traffic::Answers && !rules.is_cut(self.gate)))
    }

    /// Adds one piece, or drops it, according to the rules.
    pub(super) fn push(&mut self, unit: Unit, bytes: &[u8], now: u64, rules: &mut Rules) {
        match (self.traffic, rules.rate(self.gate)) {
            (Traffic::Bytes, Some(rate)) => {
                let piece = (rate / 100).clamp(SLOW_PIECE_BYTES.0, SLOW_PIECE_BYTES.1) as usize;
                bytes.chunks(piece).for_each(|piece| self.push_piece(unit, piece, now, rules));
            }
            (Traffic::Bytes | Traffic::Messages | Traffic::Conversation | Traffic::Answers, _) => {
                self.push_piece(unit, bytes, now, rules);
            }
        }
    }

    fn push_piece(&mut self, unit: Unit, bytes: &[u8], now: u64, rules: &mut Rules) {
        let amount = self.amount(bytes.len());
        if rules.is_cut(self.gate) {
            let gone = unit == Unit::Frame && self.traffic == Traffic::Messages;
            rules.count_blocked(self.gate, None, if gone { amount } else { 0 }, if gone { 0 } else { amount });
            if gone {
                return;
            }
        }
        let fate = match (self.traffic, unit) {
            (Traffic::Answers, Unit::Handshake | Unit::Frame | Unit::Raw) => {
                FrameAction::Forward { wait_ns: 0, hold: None, copies: vec![], flip: None }
            }
            (Traffic::Messages | Traffic::Conversation, Unit::Handshake | Unit::Raw)
            | (Traffic::Bytes, Unit::Handshake | Unit::Frame | Unit::Raw) => {
                FrameAction::Forward { wait_ns: rules.draw_delay(self.gate), hold: None, copies: vec![], flip: None }
            }
            (Traffic::Messages | Traffic::Conversation, Unit::Frame) => rules.decide(self.gate, self.traffic, self.aside.len() >= MAX_HELD),
        };
        let FrameAction::Forward { wait_ns, hold, copies, flip } = fate else { return };
        let flipped = flip.map(|bit| with_flipped_bit(bytes, bit));
        let bytes = flipped.as_deref().unwrap_or(bytes);
        let mut due = now.saturating_add(wait_ns).max(self.last_due);
        if self.traffic != Traffic::Answers {
            due = rules.reserve_send_time(self.gate, bytes.len(), due);
        }
        self.last_due = due;
        self.enqueue(Content::Unit(unit), bytes, now, due, hold);
        for copy in copies {
            match copy {
                Duplicate::Immediate(rule) => self.enqueue(Content::CopyFor(rule), bytes, now, due, None),
                Duplicate::Delayed(hold) => self.enqueue(Content::CopyFor(hold.rule), bytes, now, due, Some(hold)),
            }
        }
    }

    /// Adds the end of the stream, after all waiting pieces.
    pub(super) fn push_end(&mut self, close: Close, now: u64) {
        self.enqueue(Content::End(close), &[], now, now.max(self.last_due), None);
    }

    fn enqueue(&mut self, what: Content, bytes: &[u8], arrived: u64, due: u64, hold: Option<Hold>) {
        let waiting = QueuedPiece { what, bytes: bytes.into(), seq: self.next_seq, arrived, due };
        self.next_seq += 1;
        self.charged += bytes.len() + PIECE_COST;
        match hold {
            Some(hold) => self.aside.push(HeldPiece { waiting, hold, overtaken: 0 }),
            None => self.queue.push_back(waiting),
        }
    }

    /// Returns the next piece that may leave at `now`.
    pub(super) fn pop(&mut self, now: u64, rules: &mut Rules) -> Option<Departure> {
        if rules.is_cut(self.gate) {
            return None;
        }
        let ends = self.queue.front().is_some_and(|w| matches!(w.what, Content::End(_)) && w.due <= now);
        // Held frames leave before the end, since they were sent before it.
        if let Some(i) = self.aside.iter().position(|a| ends || a.due() <= now) {
            let HeldPiece { waiting, hold, overtaken } = self.aside.remove(i);
            if overtaken > 0 && matches!(waiting.what, Content::Unit(_)) {
                rules.count_reordered(hold.rule, self.gate);
            }
            return Some(self.release_piece(waiting, now, rules));
        }
        if self.queue.front()?.due > now {
            return None;
        }
        let waiting = self.queue.pop_front()?;
        for aside in &mut self.aside {
            aside.overtaken += u32::from(aside.waiting.seq < waiting.seq && aside.waiting.due <= now);
        }
        Some(self.release_piece(waiting, now, rules))
    }

    fn release_piece(&mut self, waiting: QueuedPiece, now: u64, rules: &mut Rules) -> Departure {
        self.charged -= waiting.bytes.len() + PIECE_COST;
        match waiting.what {
            Content::End(close) => return Departure::End(close),
            Content::CopyFor(rule) => rules.count_duplicate(rule, self.gate),
            Content::Unit(_) if self.traffic == Traffic::Answers => {}
            Content::Unit(_) => rules.count_departure(self.gate, waiting.arrived, now, self.amount(waiting.bytes.len())),
        }
        Departure::Piece(waiting.bytes)
    }

    /// Returns the time at which the next piece may leave if nothing else arrives; `None` during a cut.
    pub(super) fn next_due(&self, rules: &Rules) -> Option<u64> {
        if rules.is_cut(self.gate) {
            return None;
        }
        self.queue.front().map(|w| w.due).into_iter().chain(self.aside.iter().map(HeldPiece::due)).min()
    }

    /// Starts a cut: messages in transit are lost, and everything else is held.
    pub(super) fn cut(&mut self, rule: RuleKey, rules: &mut Rules) {
        let is_frame = |w: &QueuedPiece| matches!(w.what, Content::Unit(_));
        if self.traffic != Traffic::Messages {
            return rules.count_blocked(self.gate, Some(rule), 0, self.waiting());
        }
        let (mut gone, mut held, mut freed) = (0, 0, 0);
        let mut stays = |w: &QueuedPiece| {
            let stays = matches!(w.what, Content::Unit(Unit::Handshake | Unit::Raw) | Content::End(_));
            gone += u64::from(!stays && is_frame(w));
            held += u64::from(stays && is_frame(w));
            freed += if stays { 0 } else { w.bytes.len() + PIECE_COST };
            stays
        };
        self.queue.retain(&mut stays);
        self.aside.retain(|a| stays(&a.waiting));
        self.charged -= freed;
        rules.count_blocked(self.gate, Some(rule), gone, held);
    }

    /// Releases pieces that only this rule held back. The rule has already been removed from the link.
    pub(super) fn release(&mut self, rule: RuleKey, effect: LinkEffect, now: u64, rules: &mut Rules) {
        match effect {
            LinkEffect::Delay { .. } | LinkEffect::Slow { .. } => {
                if !rules.has(self.gate, |e| matches!(e, LinkEffect::Delay { .. } | LinkEffect::Slow { .. })) {
                    let late = |w: &QueuedPiece| w.due > now;
                    let waiting = self.queue.iter().chain(self.aside.iter().map(|a| &a.waiting));
                    let late = waiting.filter(|w| late(w) && matches!(w.what, Content::Unit(_)));
                    let amount = late.map(|w| self.amount(w.bytes.len())).sum();
                    rules.count_early_release(rule, self.gate, amount);
                    self.queue.iter_mut().chain(self.aside.iter_mut().map(|a| &mut a.waiting)).for_each(|w| w.due = w.due.min(now));
                    self.last_due = self.last_due.min(now);
                }
            }
            LinkEffect::Duplicate { .. } | LinkEffect::Reorder { .. } => {
                for aside in self.aside.iter_mut().filter(|a| a.hold.rule == rule) {
                    aside.hold.at_most_ns = 0;
                }
            }
            LinkEffect::Cut | LinkEffect::Loss { .. } | LinkEffect::Corrupt { .. } | LinkEffect::Reset | LinkEffect::Hang => {}
        }
    }
}

/// Returns a frame with one bit flipped: the one at this position, modulo the length.
fn with_flipped_bit(frame: &[u8], bit: u32) -> Vec<u8> {
    let mut flipped = frame.to_vec();
    if !flipped.is_empty() {
        let bit = bit as usize % (flipped.len() * 8);
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
    flipped
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_faults::{Link, Node};
    use heckle_history::prng::Seed;

    const MS: u64 = 1_000_000;

    struct World {
        rules: Rules,
        lane: Lane,
        link: Link,
    }

    fn world(traffic: Traffic) -> World {
        let link = Link::between(Node(1), Node(2));
        let mut rules = Rules::new(Seed(3), super::super::effect::CountUnit::Frames);
        let gate = rules.link(link);
        World { rules, lane: Lane::new(traffic, gate), link }
    }

    impl World {
        fn apply(&mut self, fault: u64, effect: LinkEffect, now: u64) {
            let key = self.rules.apply(fault, &[self.link], effect, now);
            if effect == LinkEffect::Cut {
                self.lane.cut(key, &mut self.rules);
            }
        }

        fn lift(&mut self, fault: u64, now: u64) {
            for (key, effect, _) in self.rules.remove_rules(fault) {
                self.lane.release(key, effect, now, &mut self.rules);
            }
        }

        fn push(&mut self, unit: Unit, text: &str, now: u64) {
            self.lane.push(unit, text.as_bytes(), now, &mut self.rules);
        }

        /// Returns everything that may leave at `now`, with `|` for an end.
        fn out(&mut self, now: u64) -> String {
            let mut out = String::new();
            while let Some(departure) = self.lane.pop(now, &mut self.rules) {
                match departure {
                    Departure::Piece(bytes) => out += std::str::from_utf8(&bytes).unwrap(),
                    Departure::End(_) => out.push('|'),
                }
            }
            out
        }
    }

    #[test]
    fn a_delay_keeps_the_order_and_its_end_releases_everything() {
        let mut w = world(Traffic::Messages);
        w.apply(1, LinkEffect::Delay { delay_us: 5_000, jitter_us: 0 }, 0);
        w.push(Unit::Frame, "a", 0);
        w.push(Unit::Frame, "b", MS);
        assert_eq!((w.out(5 * MS - 1), w.lane.next_due(&w.rules)), (String::new(), Some(5 * MS)));
        assert_eq!(w.out(5 * MS), "a");
        w.lift(1, 5 * MS);
        w.push(Unit::Frame, "c", 5 * MS);
        assert_eq!(w.out(5 * MS), "bc");
        let did = w.rules.archive(1);
        assert_eq!((did.delayed_frames, did.released_early), (1, 1));
        assert_eq!(did.measured_delay.unwrap().p50_us / 10, 500);
    }

    #[test]
    fn a_shorter_delay_never_overtakes_a_longer_one() {
        let mut w = world(Traffic::Conversation);
        w.apply(1, LinkEffect::Delay { delay_us: 9_000, jitter_us: 0 }, 0);
        w.push(Unit::Frame, "a", 0);
        w.apply(2, LinkEffect::Delay { delay_us: 1_000, jitter_us: 0 }, 0);
        w.lift(1, 0);
        w.push(Unit::Frame, "b", MS);
        assert_eq!((w.out(8 * MS), w.out(9 * MS)), (String::new(), "ab".into()));
    }

    #[test]
    fn a_cut_drops_messages_but_not_handshakes_and_ends() {
        let mut w = world(Traffic::Messages);
        w.apply(1, LinkEffect::Delay { delay_us: 1_000, jitter_us: 0 }, 0);
        w.push(Unit::Frame, "a", 0);
        w.push(Unit::Handshake, "H", 0);
        w.apply(2, LinkEffect::Cut, 0);
        w.push(Unit::Frame, "b", 0);
        w.lane.push_end(Close::Fin, 0);
        assert_eq!((w.out(9 * MS), w.lane.next_due(&w.rules)), (String::new(), None));
        w.lift(2, 9 * MS);
        assert_eq!(w.out(9 * MS), "H|");
        assert!(w.lane.is_empty());
        assert_eq!(w.lane.charged, 0);
        let did = w.rules.archive(2);
        assert_eq!((did.blocked_frames, did.held_frames), (3, 1));
    }

    #[test]
    fn a_cut_holds_a_conversation_and_keeps_its_order() {
        let mut w = world(Traffic::Conversation);
        w.push(Unit::Frame, "a", 0);
        w.apply(1, LinkEffect::Cut, 0);
        w.push(Unit::Frame, "b", 0);
        assert_eq!(w.out(0), "");
        w.lift(1, MS);
        assert_eq!(w.out(MS), "ab");
        let did = w.rules.archive(1);
        assert_eq!((did.blocked_frames, did.held_frames, did.passed_frames), (2, 2, 0));
    }

    #[test]
    fn a_full_lane_is_full() {
        let mut w = world(Traffic::Conversation);
        w.apply(1, LinkEffect::Cut, 0);
        let frame = "x".repeat(1 << 16);
        let taken = (0..1_000).take_while(|_| !w.lane.is_full(&w.rules) && (w.push(Unit::Frame, &frame, 0), true).1).count();
        assert_eq!(taken, LANE_BYTES / (frame.len() + PIECE_COST) + 1);
    }

    #[test]
    fn held_frames_leave_after_later_ones_or_a_time_limit() {
        let mut w = world(Traffic::Messages);
        w.apply(1, LinkEffect::Reorder { percent: 100.0 }, 0);
        w.push(Unit::Frame, "a", 0);
        w.lift(1, 0);
        // No frame overtook it: nothing was reordered, and the evidence shows nothing.
        assert_eq!((w.out(0), w.rules.archive(1).shows_effect()), ("a".into(), false));

        w.apply(2, LinkEffect::Reorder { percent: 100.0 }, 0);
        w.push(Unit::Frame, "b", 0);
        w.push(Unit::Handshake, "H", 0);
        assert_eq!(w.out(1), if w.lane.aside.is_empty() { "Hb" } else { "H" });
        w.out(20 * MS);
        assert_eq!(w.rules.archive(2).reordered_frames, 1);
        assert!(w.lane.is_empty());
    }

    #[test]
    fn the_end_waits_for_held_frames() {
        let mut w = world(Traffic::Messages);
        w.apply(1, LinkEffect::Reorder { percent: 100.0 }, 0);
        w.push(Unit::Frame, "a", 0);
        w.lane.push_end(Close::Fin, 0);
        assert_eq!(w.out(0), "a|");
    }

    #[test]
    fn each_copy_leaves_and_is_counted_once() {
        let mut w = world(Traffic::Messages);
        w.apply(1, LinkEffect::Duplicate { percent: 100.0 }, 0);
        (0..50).for_each(|_| w.push(Unit::Frame, "a", 0));
        assert_eq!(w.out(20 * MS).len(), 100);
        let did = w.rules.archive(1);
        assert_eq!((did.duplicated_frames, did.passed_frames), (50, 50));
    }
}
