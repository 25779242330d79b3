//! Compares requested with measured delay and loss: the accuracy of the relay as a measuring instrument.
//!
//! A sender and a receiver in this process share one clock, so delays are measured one-way and need no halving. The measurement is
//! end to end, from the sender's write to the receiver's read. It includes two loopback hops, two wake-ups and the relay, so a
//! requested delay of zero does not measure as zero.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use heckle_faults::{Link, LinkEffect, Node};
use heckle_history::prng::Seed;
use heckle_server::frame::{FrameKind, FrameReader, encode_frame};

use crate::limits;
use crate::relay::raw::{OnUnknown, Owners};
use crate::relay::{Relay, Route};

/// Requested delays, in microseconds.
pub const DELAYS_US: [u64; 8] = [0, 200, 500, 1_000, 2_000, 5_000, 10_000, 50_000];
/// Requested losses, in percent.
pub const LOSSES_PERCENT: [f64; 5] = [0.0, 1.0, 5.0, 20.0, 50.0];

/// Number of frames per delay, sent one every [`DELAY_INTERVAL`]. The 99th percentile needs a few hundred.
const DELAY_FRAMES: u64 = 400;
const DELAY_INTERVAL: Duration = Duration::from_micros(700);
/// Number of frames per loss setting. With this many, a loss of 1 % is measured to within 0.3 percentage points in 99.7 % of runs.
const LOSS_FRAMES: u64 = 10_000;
/// Number of round trips measured with and without the relay.
const ROUND_TRIPS: u64 = 2_000;
/// Pauses before a round trip. Without a pause the threads stay awake, and a kernel may keep them on one core. With a pause, each
/// hop includes waking a thread, as with sparse traffic.
const PAUSES: [Duration; 2] = [Duration::ZERO, Duration::from_micros(300)];
/// Number of bytes sent with and without the relay.
const STREAM_BYTES: usize = 512 << 20;
const STREAM_FRAME: usize = 64 << 10;
/// Time after which a silent peer is considered broken.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(10);

/// Median and 99th percentile, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Median, in microseconds.
    pub p50_us: f64,
    /// 99th percentile, in microseconds.
    pub p99_us: f64,
}

/// A kind of relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayKind {
    /// Relays whole messages, in one direction per connection.
    Frames,
    /// Relays bytes in both directions, and identifies the dialler by its socket.
    Bytes,
}

impl fmt::Display for RelayKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RelayKind::Frames => "frame relay",
            RelayKind::Bytes => "raw relay",
        })
    }
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Row {
    /// One-way delay.
    Delay {
        /// Requested delay, in microseconds.
        asked_us: u64,
        /// Number of frames measured.
        frames: u64,
        /// The delay measured end to end.
        measured: Spread,
    },
    /// Loss.
    Loss {
        /// Requested loss, in percent.
        asked_percent: f64,
        /// Number of frames sent.
        frames: u64,
        /// Measured loss, in percent.
        measured_percent: f64,
    },
    /// Round trip of a small frame without faults.
    RoundTrip {
        /// The kind of relay.
        kind: RelayKind,
        /// Pause between round trips.
        pause: Duration,
        /// Number of round trips measured.
        frames: u64,
        /// Round trip without the relay.
        direct: Spread,
        /// Round trip through the relay, in both directions.
        relayed: Spread,
    },
    /// Throughput of large frames in one direction without faults.
    Throughput {
        /// The kind of relay.
        kind: RelayKind,
        /// Throughput without the relay, in MB/s.
        direct_mb_s: f64,
        /// Throughput through the relay, in MB/s.
        relayed_mb_s: f64,
    },
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Row::Delay { asked_us, frames, measured } => {
                let asked = *asked_us as f64 / 1e3;
                write!(
                    f,
                    "| delay | {asked:.1} ms | {:.3} ms | {:.3} ms | {frames} frames, one way |",
                    measured.p50_us / 1e3,
                    measured.p99_us / 1e3
                )
            }
            Row::Loss { asked_percent, frames, measured_percent } => {
                write!(f, "| loss | {asked_percent} % | {measured_percent:.2} % | | {frames} frames |")
            }
            Row::RoundTrip { kind, pause, frames, direct, relayed } => write!(
                f,
                "| round trip, {kind}, no fault | | {:.0} us | {:.0} us | {frames} round trips, {pause:?} apart; direct {:.0} and {:.0} us: the relay adds {:.0} us |",
                relayed.p50_us,
                relayed.p99_us,
                direct.p50_us,
                direct.p99_us,
                relayed.p50_us - direct.p50_us
            ),
            Row::Throughput { kind, direct_mb_s, relayed_mb_s } => {
                write!(f, "| throughput, {kind}, no fault | | {relayed_mb_s:.0} MB/s | | 64 KiB frames; direct {direct_mb_s:.0} MB/s |")
            }
        }
    }
}

/// Formats the rows as a Markdown table.
pub fn table(rows: &[Row]) -> String {
    let lines = rows.iter().map(|row| format!("{row}\n"));
    format!("| what | asked | measured p50 | p99 | over |\n|---|---|---|---|---|\n{}", lines.collect::<String>())
}

/// Measures everything, in about ten seconds.
///
/// # Errors
/// If a loopback socket fails, or an expected frame does not arrive within ten seconds.
pub fn measure() -> io::Result<Vec<Row>> {
    let mut rows = vec![];
    for asked_us in DELAYS_US {
        rows.push(measure_delay(asked_us)?);
    }
    for asked_percent in LOSSES_PERCENT {
        rows.push(measure_loss(asked_percent, LOSS_FRAMES)?);
    }
    for pause in PAUSES {
        let direct = round_trips(&TestLink::direct()?, pause)?;
        for kind in [RelayKind::Frames, RelayKind::Bytes] {
            let relayed = round_trips(&TestLink::of(kind)?, pause)?;
            rows.push(Row::RoundTrip { kind, pause, frames: ROUND_TRIPS, direct, relayed });
        }
    }
    let direct_mb_s = throughput(&TestLink::direct()?)?;
    for kind in [RelayKind::Frames, RelayKind::Bytes] {
        let relayed_mb_s = throughput(&TestLink::of(kind)?)?;
        rows.push(Row::Throughput { kind, direct_mb_s, relayed_mb_s });
    }
    Ok(rows)
}

/// A listener, the address to dial, and the relay between them.
struct TestLink {
    relay: Option<Relay>,
    listener: TcpListener,
    address: SocketAddr,
}

impl TestLink {
    fn direct() -> io::Result<TestLink> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        Ok(TestLink { relay: None, listener, address })
    }

    fn of(kind: RelayKind) -> io::Result<TestLink> {
        match kind {
            RelayKind::Frames => TestLink::with_seed(Seed(1)),
            RelayKind::Bytes => {
                let TestLink { listener, address, .. } = TestLink::direct()?;
                let relay = Relay::start_raw(Seed(1), Owners::new("bench"), None, OnUnknown::new(|_| {}))?;
                let address = relay.open(Route::Anyone { to: Node(2) }, address)?;
                Ok(TestLink { relay: Some(relay), listener, address })
            }
        }
    }

    fn with_seed(seed: Seed) -> io::Result<TestLink> {
        let TestLink { listener, address, .. } = TestLink::direct()?;
        let relay = Relay::start(seed, std::sync::Arc::new(heckle_system_paxos::PaxosFraming))?;
        let address = relay.open(Route::Nodes { from: Node(1), to: Node(2) }, address)?;
        Ok(TestLink { relay: Some(relay), listener, address })
    }

    fn with_effect(effect: LinkEffect) -> io::Result<TestLink> {
        // Use a separate seed for each row. With a common seed, the errors of all losses would have the same sign.
        let rig = TestLink::with_seed(Seed(1).part(&format!("{effect:?}")))?;
        if let Some(relay) = &rig.relay {
            relay.apply(1, &[Link::between(Node(1), Node(2))], effect);
        }
        Ok(rig)
    }

    /// Opens a connection and returns both ends.
    fn connect(&self) -> io::Result<(TcpStream, TcpStream)> {
        let dialler = TcpStream::connect(self.address)?;
        let (target, _) = self.listener.accept()?;
        for socket in [&dialler, &target] {
            socket.set_nodelay(true)?;
            socket.set_read_timeout(Some(SILENCE_TIMEOUT))?;
        }
        Ok((dialler, target))
    }
}

fn frame(kind: FrameKind, payload: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    encode_frame(kind, payload, &mut out);
    out
}

/// Reads frames until the stream ends, and passes each payload with its arrival time to `each`.
fn read_frames(mut from: TcpStream, mut each: impl FnMut(&[u8], Instant)) -> io::Result<()> {
    let mut reader = FrameReader::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let n = from.read(&mut buffer)?;
        let now = Instant::now();
        if n == 0 {
            return Ok(());
        }
        reader.push(&buffer[..n]);
        while let Some(frame) = reader.next_frame().map_err(io::Error::other)? {
            each(&frame.payload, now);
        }
    }
}

fn measure_delay(asked_us: u64) -> io::Result<Row> {
    let rig = TestLink::with_effect(LinkEffect::Delay { delay_us: asked_us, jitter_us: 0 })?;
    let (mut sender, receiver) = rig.connect()?;
    let origin = Instant::now();
    let reading = limits::thread("bench", move || {
        let mut delays = vec![];
        read_frames(receiver, |payload, now| {
            let sent = payload.first_chunk().map_or(0, |ns| u64::from_le_bytes(*ns));
            delays.push(now.duration_since(origin).as_nanos() as f64 / 1e3 - sent as f64 / 1e3);
        })?;
        Ok(delays)
    })?;
    for _ in 0..DELAY_FRAMES {
        let sent = origin.elapsed().as_nanos() as u64;
        sender.write_all(&frame(FrameKind::PeerMessage, &sent.to_le_bytes()))?;
        thread::sleep(DELAY_INTERVAL);
    }
    drop(sender);
    let delays = join_thread(reading)?;
    Ok(Row::Delay { asked_us, frames: delays.len() as u64, measured: spread(delays) })
}

/// Sends `frames` frames over a link that loses `asked_percent` of them.
fn measure_loss(asked_percent: f64, frames: u64) -> io::Result<Row> {
    let rig = TestLink::with_effect(LinkEffect::Loss { percent: asked_percent })?;
    let (mut sender, receiver) = rig.connect()?;
    let reading = limits::thread("bench", move || {
        let mut got = 0u64;
        read_frames(receiver, |_, _| got += 1)?;
        Ok(got)
    })?;
    let message = frame(FrameKind::PeerMessage, &[7; 100]);
    for _ in 0..frames {
        sender.write_all(&message)?;
    }
    drop(sender);
    let got = join_thread(reading)?;
    Ok(Row::Loss { asked_percent, frames, measured_percent: 100.0 * (1.0 - got as f64 / frames as f64) })
}

fn round_trips(rig: &TestLink, pause: Duration) -> io::Result<Spread> {
    let (mut near, mut far) = rig.connect()?;
    let message = frame(FrameKind::PeerMessage, &[7; 100]);
    let len = message.len();
    let echo = limits::thread("bench", move || {
        let mut buffer = vec![0; len];
        for _ in 0..ROUND_TRIPS {
            far.read_exact(&mut buffer)?;
            far.write_all(&buffer)?;
        }
        Ok(())
    })?;
    let mut buffer = vec![0; len];
    let mut took = vec![];
    for _ in 0..ROUND_TRIPS {
        if !pause.is_zero() {
            thread::sleep(pause);
        }
        let start = Instant::now();
        near.write_all(&message)?;
        near.read_exact(&mut buffer)?;
        took.push(start.elapsed().as_nanos() as f64 / 1e3);
    }
    join_thread(echo)?;
    Ok(spread(took))
}

fn throughput(rig: &TestLink) -> io::Result<f64> {
    let (mut near, mut far) = rig.connect()?;
    let message = frame(FrameKind::PeerMessage, &vec![7; STREAM_FRAME]);
    let start = Instant::now();
    let sink = limits::thread("bench", move || {
        let (mut buffer, mut got) = (vec![0; 256 << 10], 0usize);
        loop {
            match far.read(&mut buffer)? {
                0 => return Ok(got),
                n => got += n,
            }
        }
    })?;
    for _ in 0..STREAM_BYTES / STREAM_FRAME {
        near.write_all(&message)?;
    }
    drop(near);
    let got = join_thread(sink)?;
    Ok(got as f64 / 1e6 / start.elapsed().as_secs_f64())
}

fn join_thread<T>(thread: thread::JoinHandle<io::Result<T>>) -> io::Result<T> {
    thread.join().unwrap_or_else(|_| Err(io::Error::other("the receiver of the measurement panicked")))
}

/// # Panics
/// If there are no values.
fn spread(mut values: Vec<f64>) -> Spread {
    values.sort_unstable_by(f64::total_cmp);
    let at = |quantile: f64| values[((values.len() - 1) as f64 * quantile).round() as usize];
    Spread { p50_us: at(0.5), p99_us: at(0.99) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_shows_requested_and_measured_values() {
        let measured = Spread { p50_us: 1_070.0, p99_us: 1_200.0 };
        let rows = [
            Row::Delay { asked_us: 1_000, frames: 400, measured },
            Row::Loss { asked_percent: 5.0, frames: 10_000, measured_percent: 5.1 },
        ];
        let text = table(&rows);
        assert!(text.contains("| delay | 1.0 ms | 1.070 ms | 1.200 ms |"), "{text}");
        assert!(text.contains("| loss | 5 % | 5.10 % |"), "{text}");
    }

    #[test]
    fn delay_and_loss_are_measured() {
        let Ok(Row::Delay { measured, frames, .. }) = measure_delay(2_000) else { panic!("no delay was measured") };
        assert_eq!(frames, DELAY_FRAMES);
        assert!(measured.p50_us >= 2_000.0, "{measured:?}");
        let Ok(Row::Loss { measured_percent, .. }) = measure_loss(50.0, 2_000) else { panic!("no loss was measured") };
        assert!((44.0..56.0).contains(&measured_percent), "{measured_percent}");
    }
}
