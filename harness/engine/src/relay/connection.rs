//! One relayed connection: two sockets, with one direction each way between them.
//!
//! The undisturbed path is one read, a walk over the frame headers and one write, using a buffer shared by all
//! connections. No data is copied, and only an incomplete frame is stored between reads. Frames go through the
//! [`Lane`] only if a rule is on the link, or the other side is not connected yet.

use std::io::{ErrorKind, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};

use heckle_faults::LinkEffect;

use heckle_system_api::capability::Rewrite;

use super::context::{Context, LARGE_BYTES, READ_BYTES, TimerOwner};
use super::direction::{ConnectionKind, Direction, Stage};
use super::lane::{Close, Lane};
use super::poll::{Interest, Ready};
use super::rules::{LinkId, RuleKey, Rules, Traffic};
use super::socket::{dial, reset_on_close, write_some};
use super::splitter::Split;

/// Maximum size of a greeting that is held until it is complete.
const MAX_GREETING_BYTES: usize = 1024;

/// Time for which a byte relay redials a target that refuses, and the interval between dials. A server may dial a peer a few
/// milliseconds before the peer listens.
const REDIAL_LIMIT_NS: u64 = 1_000_000_000;
const REDIAL_INTERVAL_NS: u64 = 5_000_000;

/// Whether a connection stays open after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum ConnectionState {
    Open,
    Closed(Close),
}

#[derive(Debug)]
enum Socket {
    /// The target, before it is dialled: during a cut, or between two dials.
    NotDialled,
    Dialling(TcpStream),
    Up(TcpStream),
}

impl Socket {
    fn stream(&self) -> Option<&TcpStream> {
        match self {
            Socket::NotDialled => None,
            Socket::Dialling(stream) | Socket::Up(stream) => Some(stream),
        }
    }

    fn connected(&self) -> Option<&TcpStream> {
        match self {
            Socket::NotDialled | Socket::Dialling(_) => None,
            Socket::Up(stream) => Some(stream),
        }
    }
}

/// A target that has refused and is being redialled.
#[derive(Debug, Clone, Copy)]
struct Redial {
    next: u64,
    until: u64,
}

/// A pair of sockets with the data in transit between them. Index 0 is the dialler, index 1 the target.
pub(super) struct Connection {
    id: u64,
    target: SocketAddr,
    sockets: [Socket; 2],
    redial: Option<Redial>,
    watched: [Interest; 2],
    directions: [Direction; 2],
}

impl Connection {
    /// Creates a connection for a client or node that dialled `target`. Does not dial the target yet:
    /// [`Connection::resume`] does.
    pub(super) fn new(id: u64, dialler: TcpStream, target: SocketAddr, kind: ConnectionKind) -> Connection {
        let both = |traffic, forward, backward| {
            let direction = |link| Direction::new(Lane::new(traffic, link), Some(link));
            [direction(forward), direction(backward)]
        };
        let directions = match kind {
            ConnectionKind::Messages { forward } => {
                let answers = Direction::new(Lane::new(Traffic::Answers, forward), None);
                [Direction::new(Lane::new(Traffic::Messages, forward), Some(forward)), answers]
            }
            ConnectionKind::Conversation { forward, backward } => both(Traffic::Conversation, forward, backward),
            ConnectionKind::Bytes { forward, backward } => {
                let [mut dialler, target] = both(Traffic::Bytes, forward, backward);
                dialler.greets = true;
                [dialler, target]
            }
        };
        Connection {
            id,
            target,
            sockets: [Socket::Up(dialler), Socket::NotDialled],
            redial: None,
            watched: [Interest::NONE; 2],
            directions,
        }
    }

    /// Returns the links of this connection.
    pub(super) fn links(&self) -> impl Iterator<Item = LinkId> + '_ {
        self.directions.iter().filter_map(|w| w.flow)
    }

    /// Starts a cut on these links.
    pub(super) fn cut(&mut self, rule: RuleKey, links: &[LinkId], rules: &mut Rules) {
        for way in self.directions.iter_mut().filter(|w| links.contains(&w.lane.gate())) {
            way.lane.cut(rule, rules);
            if way.lane.traffic() == Traffic::Bytes {
                rules.count_blocked(way.lane.gate(), Some(rule), 0, (way.out.len() - way.sent) as u64);
            }
        }
    }

    /// Returns the number of bytes waiting for this link.
    pub(super) fn waiting(&self, link: LinkId) -> u64 {
        let of = self.directions.iter().filter(|way| way.flow == Some(link));
        of.map(|way| way.lane.waiting() + (way.out.len() - way.sent) as u64).sum()
    }

    /// Releases data that a rule held back on these links. The rule has already been removed.
    pub(super) fn release(&mut self, rule: RuleKey, effect: LinkEffect, links: &[LinkId], ctx: &mut Context) {
        let now = ctx.now();
        for way in self.directions.iter_mut().filter(|w| links.contains(&w.lane.gate())) {
            way.lane.release(rule, effect, now, &mut ctx.rules);
        }
    }

    /// Continues after the connection was accepted, its rules changed, or a timer fired.
    pub(super) fn resume(&mut self, ctx: &mut Context) -> ConnectionState {
        if matches!(self.sockets[1], Socket::NotDialled) {
            let pauses = self.redial.is_some_and(|redial| redial.next > ctx.now());
            if !pauses && !ctx.rules.is_cut(self.directions[0].lane.gate()) {
                if let ConnectionState::Closed(close) = self.dial(ctx) {
                    return ConnectionState::Closed(close);
                }
            } else if self.directions[0].stage != Stage::Open {
                // The dialler has given up. The target has never seen the connection and does not need to.
                return ConnectionState::Closed(Close::Fin);
            }
        }
        for way in 0..2 {
            if let ConnectionState::Closed(close) = self.flush(way, ctx) {
                return ConnectionState::Closed(close);
            }
        }
        self.update_interest(ctx);
        ConnectionState::Open
    }

    /// Handles a socket that is ready.
    pub(super) fn ready(&mut self, side: usize, ready: Ready, ctx: &mut Context) -> ConnectionState {
        let interest = self.watched[side];
        if matches!(self.sockets[side], Socket::Dialling(_))
            && let ConnectionState::Closed(close) = self.finish_dial(ctx)
        {
            return ConnectionState::Closed(close);
        }
        if ready.read
            && interest.read
            && let ConnectionState::Closed(close) = self.read_source(side, ctx)
        {
            return ConnectionState::Closed(close);
        }
        // A read may also have changed the state of the other direction. `resume` handles both.
        self.resume(ctx)
    }

    fn dial(&mut self, ctx: &mut Context) -> ConnectionState {
        match dial(self.target) {
            Err(e) => {
                // A dial that fails because of the relay's own limits must not look like a refusal by the node.
                crate::limits::note(&e);
                self.refused(ctx)
            }
            Ok(stream) => {
                self.sockets[1] = Socket::Dialling(stream);
                // On loopback the dial has usually completed already.
                self.finish_dial(ctx)
            }
        }
    }

    /// Checks whether the dial has completed.
    fn finish_dial(&mut self, ctx: &mut Context) -> ConnectionState {
        let Some(stream) = self.sockets[1].stream() else { return ConnectionState::Open };
        match stream.take_error() {
            Ok(None) => {}
            Ok(Some(_)) | Err(_) => return self.refused(ctx),
        }
        let (Ok(here), Ok(there)) = (stream.local_addr(), stream.peer_addr()) else {
            // Not connected and no error: the dial is still in progress.
            return ConnectionState::Open;
        };
        // TCP allows a socket to connect to itself. If no process listens on a port of the ephemeral range, the
        // kernel may choose that same port as the source port of a dial to it, which would keep the node from binding it again.
        if here == there {
            return self.refused(ctx);
        }
        if let Socket::Dialling(stream) = std::mem::replace(&mut self.sockets[1], Socket::NotDialled) {
            self.sockets[1] = Socket::Up(stream);
        }
        ConnectionState::Open
    }

    /// Handles a target that refuses. The dialler already has an open connection: it may take a reset for the end of a conversation,
    /// and not dial again. A byte relay therefore redials for a while before it gives up.
    fn refused(&mut self, ctx: &mut Context) -> ConnectionState {
        let now = ctx.now();
        let until = self.redial.map_or(now + REDIAL_LIMIT_NS, |redial| redial.until);
        if self.directions[0].lane.traffic() != Traffic::Bytes || now >= until {
            ctx.stats.refused_by_target += 1;
            return ConnectionState::Closed(Close::Reset);
        }
        self.redial = Some(Redial { next: now + REDIAL_INTERVAL_NS, until });
        (self.sockets[1], self.watched[1]) = (Socket::NotDialled, Interest::NONE);
        ConnectionState::Open
    }

    /// Reads once from the source of this direction.
    fn read_source(&mut self, way: usize, ctx: &mut Context) -> ConnectionState {
        let Some(mut source) = self.sockets[way].connected() else { return ConnectionState::Open };
        let w = &mut self.directions[way];
        let have = w.partial.len();
        let missing = w.wanted.saturating_sub(have);
        let large = have > LARGE_BYTES || missing > LARGE_BYTES;
        let mut scratch = std::mem::take(&mut ctx.scratch);
        let read = if large {
            // Never read past the end of this frame, so that it is complete when the buffer is full.
            w.partial.resize(have + missing.min(READ_BYTES), 0);
            let read = source.read(&mut w.partial[have..]);
            w.partial.truncate(have + *read.as_ref().unwrap_or(&0));
            read
        } else {
            scratch[..have].copy_from_slice(&w.partial);
            source.read(&mut scratch[have..have + READ_BYTES])
        };
        let state = match read {
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => ConnectionState::Open,
            Ok(0) => self.source_ended(way, Close::Fin, ctx),
            Err(_) => self.source_ended(way, Close::Reset, ctx),
            Ok(_) if large && w.partial.len() < w.wanted => ConnectionState::Open,
            Ok(_) if large => {
                let frame = std::mem::take(&mut w.partial);
                self.receive(way, &frame, ctx)
            }
            Ok(n) => self.receive(way, &scratch[..have + n], ctx),
        };
        ctx.scratch = scratch;
        state
    }

    /// Handles the end of the source. An incomplete frame is forwarded unchanged: the receiver must see the same bytes as without a relay.
    fn source_ended(&mut self, way: usize, close: Close, ctx: &mut Context) -> ConnectionState {
        let now = ctx.now();
        let w = &mut self.directions[way];
        if !w.partial.is_empty() {
            let torn = std::mem::take(&mut w.partial);
            w.lane.push(super::splitter::Unit::Raw, &torn, now, &mut ctx.rules);
        }
        w.lane.push_end(close, now);
        w.stage = Stage::Ended;
        ConnectionState::Open
    }

    /// Handles input. Replaces an advertised address in it.
    fn receive(&mut self, way: usize, bytes: &[u8], ctx: &mut Context) -> ConnectionState {
        let w = &mut self.directions[way];
        let greeting = ctx.greeting.as_ref().filter(|_| w.greets);
        let rewrite = greeting.map(|greeting| greeting.rewrite(bytes, &|listens| ctx.relayed.get(&listens).copied()));
        if rewrite == Some(Rewrite::Incomplete) && bytes.len() <= MAX_GREETING_BYTES {
            w.partial = bytes.to_vec();
            return ConnectionState::Open;
        }
        w.greets = false;
        match rewrite {
            Some(Rewrite::Replace { len, with }) => self.forward(way, &[&with, &bytes[len..]].concat(), ctx),
            Some(Rewrite::Incomplete | Rewrite::Keep) | None => self.forward(way, bytes, ctx),
        }
    }

    /// Splits the input into pieces, and forwards them directly or through the lane.
    fn forward(&mut self, way: usize, bytes: &[u8], ctx: &mut Context) -> ConnectionState {
        let now = ctx.now();
        let receiver_up = self.sockets[1 - way].connected().is_some();
        let w = &mut self.directions[way];
        let flowing = receiver_up && w.out.is_empty();
        let straight = flowing && w.lane.is_open(&ctx.rules);
        let was_raw = w.splitter.is_raw();
        let (mut at, mut pieces) = (0, 0);
        w.wanted = 0;
        while at < bytes.len() {
            match w.splitter.split(&bytes[at..], &*ctx.framing) {
                Split::Partial(len) => {
                    w.wanted = len;
                    break;
                }
                Split::Whole(unit, len) => {
                    if !straight {
                        w.lane.push(unit, &bytes[at..at + len], now, &mut ctx.rules);
                    }
                    if !straight && flowing {
                        // One at a time, as if each frame had arrived alone: otherwise a burst would use up the space
                        // for held frames before the first of them could be overtaken.
                        w.collect_output(now, &mut ctx.rules);
                    }
                    at += len;
                    pieces += 1;
                }
            }
        }
        let framed = w.lane.traffic() != Traffic::Bytes;
        ctx.stats.unframed += u64::from(framed && w.splitter.is_raw() && !was_raw);
        w.partial.clear();
        w.partial.shrink_to(READ_BYTES);
        w.partial.extend_from_slice(&bytes[at..]);
        if straight && at > 0 { self.send(way, &bytes[..at], pieces, ctx) } else { ConnectionState::Open }
    }

    /// Writes bytes directly, without the lane. Bytes that the receiver does not yet accept are buffered, and
    /// reading pauses until they have been sent.
    fn send(&mut self, way: usize, bytes: &[u8], pieces: u64, ctx: &mut Context) -> ConnectionState {
        let Some(receiver) = self.sockets[1 - way].connected() else { return ConnectionState::Open };
        let written = write_some(receiver, bytes);
        let w = &mut self.directions[way];
        match written {
            Err(_) => self.receiver_gone(way),
            Ok(n) if n == bytes.len() => {
                ctx.count(w.flow, pieces, n);
                ConnectionState::Open
            }
            Ok(n) => {
                ctx.count(w.flow, 0, n);
                w.out.extend_from_slice(&bytes[n..]);
                w.pieces = pieces;
                ConnectionState::Open
            }
        }
    }

    /// Writes until no more bytes may leave or the receiver accepts no more.
    fn flush(&mut self, way: usize, ctx: &mut Context) -> ConnectionState {
        loop {
            let Some(receiver) = self.sockets[1 - way].connected() else { return ConnectionState::Open };
            let w = &mut self.directions[way];
            if matches!(w.stage, Stage::Done | Stage::Dead) {
                return ConnectionState::Open;
            }
            if w.is_held(&ctx.rules) {
                return ConnectionState::Open;
            }
            if !w.out.is_empty() {
                let Ok(n) = write_some(receiver, &w.out[w.sent..]) else { return self.receiver_gone(way) };
                w.sent += n;
                let all = w.sent == w.out.len();
                ctx.count(w.flow, if all { w.pieces } else { 0 }, n);
                if !all {
                    return ConnectionState::Open;
                }
                (w.sent, w.pieces) = (0, 0);
                w.out.clear();
                w.out.shrink_to(READ_BYTES);
            }
            if let Stage::Ending(close) = w.stage {
                return self.forward_end(way, close);
            }
            let now = ctx.now();
            w.collect_output(now, &mut ctx.rules);
            if w.out.is_empty() && !matches!(w.stage, Stage::Ending(_)) {
                return ConnectionState::Open;
            }
        }
    }

    fn forward_end(&mut self, way: usize, close: Close) -> ConnectionState {
        let other = self.directions[1 - way].stage;
        match (close, other) {
            (Close::Reset, _) | (Close::Fin, Stage::Dead) => ConnectionState::Closed(Close::Reset),
            (Close::Fin, Stage::Done) => ConnectionState::Closed(Close::Fin),
            (Close::Fin, Stage::Open | Stage::Ended | Stage::Ending(_)) => {
                self.directions[way].stage = Stage::Done;
                match self.sockets[1 - way].connected().map(|s| s.shutdown(Shutdown::Write)) {
                    Some(Err(_)) | None => ConnectionState::Closed(Close::Reset),
                    Some(Ok(())) => ConnectionState::Open,
                }
            }
        }
    }

    /// Handles the loss of the receiver. Bytes that it sent earlier are still forwarded in the other direction.
    fn receiver_gone(&mut self, way: usize) -> ConnectionState {
        let w = &mut self.directions[way];
        w.lane = Lane::new(w.lane.traffic(), w.lane.gate());
        (w.out, w.partial, w.stage) = (vec![], vec![], Stage::Dead);
        match self.directions[1 - way].stage {
            Stage::Done | Stage::Dead => ConnectionState::Closed(Close::Reset),
            Stage::Open | Stage::Ended | Stage::Ending(_) => ConnectionState::Open,
        }
    }

    /// Registers the current needs of this connection with the poller and the timers.
    fn update_interest(&mut self, ctx: &mut Context) {
        for i in 0..2 {
            let (reads, writes) = (&self.directions[i], &self.directions[1 - i]);
            // During a cut, input must be read and dropped even if the receiver is slow.
            let room = !reads.lane.is_full(&ctx.rules) && (reads.out.is_empty() || ctx.rules.is_cut(reads.lane.gate()));
            let wanted = match &self.sockets[i] {
                Socket::NotDialled => Interest::NONE,
                Socket::Dialling(_) => Interest { read: false, write: true },
                Socket::Up(_) => {
                    Interest { read: reads.stage == Stage::Open && room, write: !writes.out.is_empty() && !writes.is_held(&ctx.rules) }
                }
            };
            if let Some(stream) = self.sockets[i].stream() {
                ctx.poller.watch(stream, self.id << 1 | i as u64, self.watched[i], wanted);
                self.watched[i] = wanted;
            }
        }
        for i in 0..2 {
            let blocked = self.sockets[1 - i].connected().is_none() || !self.directions[i].out.is_empty();
            let due = match (&self.sockets[1], self.redial) {
                // During a cut nothing is dialled. The connection is resumed at the end of the cut.
                (Socket::NotDialled, Some(redial)) if i == 0 => (!ctx.rules.is_cut(self.directions[0].lane.gate())).then_some(redial.next),
                _ if blocked => None,
                _ => self.directions[i].lane.next_due(&ctx.rules),
            };
            self.set_timer(i, due, ctx);
        }
    }

    fn set_timer(&mut self, way: usize, due: Option<u64>, ctx: &mut Context) {
        let timer = &mut self.directions[way].timer;
        if *timer != due {
            let owner = TimerOwner::Direction(self.id, way);
            timer.map(|old| ctx.timers.remove(&(old, owner)));
            due.map(|new| ctx.timers.insert((new, owner)));
            *timer = due;
        }
    }

    /// Handles a fired timer of this direction. The timer has already been removed from the timer set.
    pub(super) fn timer_fired(&mut self, way: usize) {
        self.directions[way].timer = None;
    }

    /// Closes both sockets.
    pub(super) fn close(mut self, close: Close, ctx: &mut Context) {
        for way in 0..2 {
            self.set_timer(way, None, ctx);
        }
        if close == Close::Reset {
            self.sockets.iter().filter_map(Socket::stream).for_each(reset_on_close);
        }
    }
}
