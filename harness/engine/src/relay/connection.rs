//! One relayed connection: two sockets, and between them two directions.
//!
//! The healthy path is one read, a walk over the frame headers and one write, out of a buffer shared by all
//! connections: nothing is copied and nothing is kept but the frame that is not complete yet. Only when a rule is
//! on the link, or the other side is not up yet, do frames go through the [`Lane`].

use std::io::{ErrorKind, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};

use heckle_faults::LinkEffect;

use super::context::{Context, LARGE_BYTES, READ_BYTES, Sleeper};
use super::lane::{Close, Departure, Lane};
use super::poll::{Interest, Ready};
use super::rules::{LinkId, RuleKey, Rules, Traffic};
use super::socket::{dial, reset_on_close, write_some};
use super::splitter::{Split, Splitter};

/// Whether a connection goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Life {
    Goes,
    Over(Close),
}

#[derive(Debug)]
enum Socket {
    /// The target, while a cut keeps the relay from dialling it.
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

    fn up(&self) -> Option<&TcpStream> {
        match self {
            Socket::NotDialled | Socket::Dialling(_) => None,
            Socket::Up(stream) => Some(stream),
        }
    }
}

/// How far a direction has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its source may say more.
    Open,
    /// Its source has ended; the end is in the lane.
    Ended,
    /// The end is out of the lane and goes behind the bytes that the receiver has not taken yet.
    Ending(Close),
    /// The end was passed on.
    Done,
    /// Its receiver is gone: nothing more can be said.
    Dead,
}

/// One direction: from the socket of its own index to the other.
struct Way {
    lane: Lane,
    splitter: Splitter,
    stage: Stage,
    /// The link to whose flow it counts.
    flow: Option<LinkId>,
    /// The start of a frame whose end has not come, and how long it will be at least.
    partial: Vec<u8>,
    wanted: usize,
    /// Bytes that the receiver's socket has not taken, from `sent` on, and the pieces they belong to.
    out: Vec<u8>,
    sent: usize,
    pieces: u64,
    timer: Option<u64>,
}

impl Way {
    fn new(lane: Lane, flow: Option<LinkId>) -> Way {
        let splitter = Splitter::default();
        Way { lane, splitter, stage: Stage::Open, flow, partial: vec![], wanted: 0, out: vec![], sent: 0, pieces: 0, timer: None }
    }

    /// Whether a cut holds even what is out of the lane: a frame that has begun goes on to its end, but bytes can wait anywhere.
    fn is_held(&self, rules: &Rules) -> bool {
        self.lane.traffic() == Traffic::Bytes && rules.is_cut(self.lane.gate())
    }

    /// Moves what may leave from the lane to the bytes to be written.
    fn gather(&mut self, now: u64, rules: &mut Rules) {
        while self.out.len() < READ_BYTES {
            match self.lane.pop(now, rules) {
                None => return,
                Some(Departure::Piece(bytes)) => {
                    self.out.extend_from_slice(&bytes);
                    self.pieces += 1;
                }
                Some(Departure::End(close)) => {
                    self.stage = Stage::Ending(close);
                    return;
                }
            }
        }
    }
}

/// What a connection carries, and on which links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carries {
    /// What one node says to another; back comes only the answer to its handshake.
    Messages { forward: LinkId },
    /// What a client and a node say to each other.
    Conversation { forward: LinkId, backward: LinkId },
    /// A byte stream, both ways.
    Bytes { forward: LinkId, backward: LinkId },
}

impl Carries {
    /// The link of the forward direction.
    pub(super) fn forward(self) -> LinkId {
        match self {
            Carries::Messages { forward } | Carries::Conversation { forward, .. } | Carries::Bytes { forward, .. } => forward,
        }
    }

    /// All its links.
    pub(super) fn links(self) -> impl Iterator<Item = LinkId> {
        let backward = match self {
            Carries::Messages { .. } => None,
            Carries::Conversation { backward, .. } | Carries::Bytes { backward, .. } => Some(backward),
        };
        [Some(self.forward()), backward].into_iter().flatten()
    }
}

/// Two sockets and what is between them. Index 0 is the side that dialled, 1 the target.
pub(super) struct Connection {
    id: u64,
    target: SocketAddr,
    sockets: [Socket; 2],
    watched: [Interest; 2],
    ways: [Way; 2],
}

impl Connection {
    /// A connection that came in for `target`, with its links. Not dialled yet: [`Connection::resume`] does that.
    pub(super) fn new(id: u64, dialler: TcpStream, target: SocketAddr, carries: Carries) -> Connection {
        let both = |traffic, forward, backward| {
            let way = |link| Way::new(Lane::new(traffic, link), Some(link));
            [way(forward), way(backward)]
        };
        let ways = match carries {
            Carries::Messages { forward } => {
                let answers = Way::new(Lane::new(Traffic::Answers, forward), None);
                [Way::new(Lane::new(Traffic::Messages, forward), Some(forward)), answers]
            }
            Carries::Conversation { forward, backward } => both(Traffic::Conversation, forward, backward),
            Carries::Bytes { forward, backward } => both(Traffic::Bytes, forward, backward),
        };
        Connection { id, target, sockets: [Socket::Up(dialler), Socket::NotDialled], watched: [Interest::NONE; 2], ways }
    }

    /// The links it carries.
    pub(super) fn links(&self) -> impl Iterator<Item = LinkId> + '_ {
        self.ways.iter().filter_map(|w| w.flow)
    }

    /// A cut begins on these links.
    pub(super) fn cut(&mut self, rule: RuleKey, links: &[LinkId], rules: &mut Rules) {
        for way in self.ways.iter_mut().filter(|w| links.contains(&w.lane.gate())) {
            way.lane.cut(rule, rules);
            if way.lane.traffic() == Traffic::Bytes {
                rules.blocked(way.lane.gate(), Some(rule), 0, (way.out.len() - way.sent) as u64);
            }
        }
    }

    /// Bytes that wait for a link to carry them.
    pub(super) fn waiting(&self, link: LinkId) -> u64 {
        let of = self.ways.iter().filter(|way| way.flow == Some(link));
        of.map(|way| way.lane.waiting() + (way.out.len() - way.sent) as u64).sum()
    }

    /// A rule was taken off these links.
    pub(super) fn lifted(&mut self, rule: RuleKey, effect: LinkEffect, links: &[LinkId], ctx: &mut Context) {
        let now = ctx.now();
        for way in self.ways.iter_mut().filter(|w| links.contains(&w.lane.gate())) {
            way.lane.lifted(rule, effect, now, &mut ctx.rules);
        }
    }

    /// Goes on after its rules changed, a timer fired or it was accepted.
    pub(super) fn resume(&mut self, ctx: &mut Context) -> Life {
        if matches!(self.sockets[1], Socket::NotDialled) {
            if !ctx.rules.is_cut(self.ways[0].lane.gate()) {
                if let Life::Over(close) = self.dial(ctx) {
                    return Life::Over(close);
                }
            } else if self.ways[0].stage != Stage::Open {
                // It dialled into a cut and gave up: the target never knew of it and need not learn now.
                return Life::Over(Close::Fin);
            }
        }
        for way in 0..2 {
            if let Life::Over(close) = self.pump(way, ctx) {
                return Life::Over(close);
            }
        }
        self.refresh(ctx);
        Life::Goes
    }

    /// A socket is ready.
    pub(super) fn ready(&mut self, side: usize, ready: Ready, ctx: &mut Context) -> Life {
        let interest = self.watched[side];
        if matches!(self.sockets[side], Socket::Dialling(_))
            && let Life::Over(close) = self.dialled(ctx)
        {
            return Life::Over(close);
        }
        if ready.read
            && interest.read
            && let Life::Over(close) = self.fill(side, ctx)
        {
            return Life::Over(close);
        }
        // A read, too, may have changed what the other way can do: resume looks at both.
        self.resume(ctx)
    }

    fn dial(&mut self, ctx: &mut Context) -> Life {
        match dial(self.target) {
            Err(e) => {
                // A dial that the relay's own limits prevent must not pass for a node that refuses.
                crate::limits::note(&e);
                refused(ctx)
            }
            Ok(stream) => {
                self.sockets[1] = Socket::Dialling(stream);
                // On loopback the answer is usually there already.
                self.dialled(ctx)
            }
        }
    }

    /// Looks how the dial stands.
    fn dialled(&mut self, ctx: &mut Context) -> Life {
        let Some(stream) = self.sockets[1].stream() else { return Life::Goes };
        match stream.take_error() {
            Ok(None) => {}
            Ok(Some(_)) | Err(_) => return refused(ctx),
        }
        let (Ok(here), Ok(there)) = (stream.local_addr(), stream.peer_addr()) else {
            // Not connected and no error: the dial is still going on.
            return Life::Goes;
        };
        // TCP allows a socket to connect to itself: if nobody listens on a port of the ephemeral range, a dial to it
        // may be given that very port as its own, and would then keep the node from ever binding it again.
        if here == there {
            return refused(ctx);
        }
        if let Socket::Dialling(stream) = std::mem::replace(&mut self.sockets[1], Socket::NotDialled) {
            self.sockets[1] = Socket::Up(stream);
        }
        Life::Goes
    }

    /// Reads once from the socket of this way's source.
    fn fill(&mut self, way: usize, ctx: &mut Context) -> Life {
        let Some(mut source) = self.sockets[way].up() else { return Life::Goes };
        let w = &mut self.ways[way];
        let have = w.partial.len();
        let missing = w.wanted.saturating_sub(have);
        let large = have > LARGE_BYTES || missing > LARGE_BYTES;
        let mut scratch = std::mem::take(&mut ctx.scratch);
        let read = if large {
            // Never past the end of this frame, so that it is whole when the buffer is full.
            w.partial.resize(have + missing.min(READ_BYTES), 0);
            let read = source.read(&mut w.partial[have..]);
            w.partial.truncate(have + *read.as_ref().unwrap_or(&0));
            read
        } else {
            scratch[..have].copy_from_slice(&w.partial);
            source.read(&mut scratch[have..have + READ_BYTES])
        };
        let life = match read {
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Life::Goes,
            Ok(0) => self.source_ended(way, Close::Fin, ctx),
            Err(_) => self.source_ended(way, Close::Reset, ctx),
            Ok(_) if large && w.partial.len() < w.wanted => Life::Goes,
            Ok(_) if large => {
                let frame = std::mem::take(&mut w.partial);
                self.take_in(way, &frame, ctx)
            }
            Ok(n) => self.take_in(way, &scratch[..have + n], ctx),
        };
        ctx.scratch = scratch;
        life
    }

    /// The source says no more. A torn frame goes on torn: the receiver shall see what it would see without us.
    fn source_ended(&mut self, way: usize, close: Close, ctx: &mut Context) -> Life {
        let now = ctx.now();
        let w = &mut self.ways[way];
        if !w.partial.is_empty() {
            let torn = std::mem::take(&mut w.partial);
            w.lane.push(super::splitter::Unit::Raw, &torn, now, &mut ctx.rules);
        }
        w.lane.push_end(close, now);
        w.stage = Stage::Ended;
        Life::Goes
    }

    /// Splits what came in; hands it straight to the receiver or lays it into the lane.
    fn take_in(&mut self, way: usize, bytes: &[u8], ctx: &mut Context) -> Life {
        let now = ctx.now();
        let receiver_up = self.sockets[1 - way].up().is_some();
        let w = &mut self.ways[way];
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
                        // One by one, as if each had come alone: a burst would else fill the places of frames held
                        // aside before the first of them could be overtaken.
                        w.gather(now, &mut ctx.rules);
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
        if straight && at > 0 { self.send(way, &bytes[..at], pieces, ctx) } else { Life::Goes }
    }

    /// Writes bytes past the lane; what the receiver does not take now is kept, and no more read until it is gone.
    fn send(&mut self, way: usize, bytes: &[u8], pieces: u64, ctx: &mut Context) -> Life {
        let Some(receiver) = self.sockets[1 - way].up() else { return Life::Goes };
        let written = write_some(receiver, bytes);
        let w = &mut self.ways[way];
        match written {
            Err(_) => self.receiver_gone(way),
            Ok(n) if n == bytes.len() => {
                ctx.count(w.flow, pieces, n);
                Life::Goes
            }
            Ok(n) => {
                ctx.count(w.flow, 0, n);
                w.out.extend_from_slice(&bytes[n..]);
                w.pieces = pieces;
                Life::Goes
            }
        }
    }

    /// Writes what may leave, until nothing may or the receiver takes no more.
    fn pump(&mut self, way: usize, ctx: &mut Context) -> Life {
        loop {
            let Some(receiver) = self.sockets[1 - way].up() else { return Life::Goes };
            let w = &mut self.ways[way];
            if matches!(w.stage, Stage::Done | Stage::Dead) {
                return Life::Goes;
            }
            if w.is_held(&ctx.rules) {
                return Life::Goes;
            }
            if !w.out.is_empty() {
                let Ok(n) = write_some(receiver, &w.out[w.sent..]) else { return self.receiver_gone(way) };
                w.sent += n;
                let all = w.sent == w.out.len();
                ctx.count(w.flow, if all { w.pieces } else { 0 }, n);
                if !all {
                    return Life::Goes;
                }
                (w.sent, w.pieces) = (0, 0);
                w.out.clear();
                w.out.shrink_to(READ_BYTES);
            }
            if let Stage::Ending(close) = w.stage {
                return self.pass_end(way, close);
            }
            let now = ctx.now();
            w.gather(now, &mut ctx.rules);
            if w.out.is_empty() && !matches!(w.stage, Stage::Ending(_)) {
                return Life::Goes;
            }
        }
    }

    fn pass_end(&mut self, way: usize, close: Close) -> Life {
        let other = self.ways[1 - way].stage;
        match (close, other) {
            (Close::Reset, _) | (Close::Fin, Stage::Dead) => Life::Over(Close::Reset),
            (Close::Fin, Stage::Done) => Life::Over(Close::Fin),
            (Close::Fin, Stage::Open | Stage::Ended | Stage::Ending(_)) => {
                self.ways[way].stage = Stage::Done;
                match self.sockets[1 - way].up().map(|s| s.shutdown(Shutdown::Write)) {
                    Some(Err(_)) | None => Life::Over(Close::Reset),
                    Some(Ok(())) => Life::Goes,
                }
            }
        }
    }

    /// The receiver of this way is gone. What it said before it went is still to be passed on the other way.
    fn receiver_gone(&mut self, way: usize) -> Life {
        let w = &mut self.ways[way];
        w.lane = Lane::new(w.lane.traffic(), w.lane.gate());
        (w.out, w.partial, w.stage) = (vec![], vec![], Stage::Dead);
        match self.ways[1 - way].stage {
            Stage::Done | Stage::Dead => Life::Over(Close::Reset),
            Stage::Open | Stage::Ended | Stage::Ending(_) => Life::Goes,
        }
    }

    /// Tells poller and timers what it now waits for.
    fn refresh(&mut self, ctx: &mut Context) {
        for i in 0..2 {
            let (reads, writes) = (&self.ways[i], &self.ways[1 - i]);
            // In a cut what comes in must be taken and dropped even while the receiver is slow.
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
            let blocked = self.sockets[1 - i].up().is_none() || !self.ways[i].out.is_empty();
            let due = if blocked { None } else { self.ways[i].lane.next_due(&ctx.rules) };
            self.set_timer(i, due, ctx);
        }
    }

    fn set_timer(&mut self, way: usize, due: Option<u64>, ctx: &mut Context) {
        let timer = &mut self.ways[way].timer;
        if *timer != due {
            let sleeper = Sleeper::Way(self.id, way);
            timer.map(|old| ctx.timers.remove(&(old, sleeper)));
            due.map(|new| ctx.timers.insert((new, sleeper)));
            *timer = due;
        }
    }

    /// A timer of this way fired and is no longer among the timers.
    pub(super) fn timer_fired(&mut self, way: usize) {
        self.ways[way].timer = None;
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

fn refused(ctx: &mut Context) -> Life {
    ctx.stats.refused_by_target += 1;
    Life::Over(Close::Reset)
}
