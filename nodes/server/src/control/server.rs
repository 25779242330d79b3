//! The node's side of the control channel.

use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::{Answer, FailpointAction, LeaseChanged, PointReached, Request};
use crate::clock::{ClockSkew, MAX_DRIFT_PPM};
use crate::lease_watch::WATCHER_QUEUE;
use crate::points::protocol::SUBSCRIBER_QUEUE;
use crate::points::{self, AnyPoint, HoldOwner, Injection};
use crate::resources::{Lobby, Place};
use crate::shell::Shell;

/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Maximum length of a request in bytes. Replies may be longer.
const MAX_REQUEST: usize = 16 << 10;

/// Accepts control connections until the node ends.
pub(crate) async fn accept_all(shell: Rc<Shell>, listener: TcpListener) {
    let lobby = Rc::<Lobby>::default();
    loop {
        match listener.accept().await {
            Ok((mut stream, addr)) => {
                let most = shell.descriptors.control;
                let Some(place) = lobby.admit(most) else {
                    let message = format!("{most} control connections are open already: close some");
                    shell.log.warn("control_refused", &[("addr", &addr), ("why", &message)]);
                    let _ = stream.write_all(&line(&Answer::Error { message })).await;
                    continue;
                };
                let shell = Rc::clone(&shell);
                tokio::task::spawn_local(async move {
                    tokio::select! {
                        served = serve(&shell, stream, &place) => if let Err(cause) = served {
                            shell.log.warn("control_closed", &[("why", &cause)]);
                        },
                        () = place.evicted() => {}
                    }
                });
            }
            Err(cause) => {
                shell.log.error("control_accept_failed", &[("why", &cause)]);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn line(answer: &Answer) -> Vec<u8> {
    let mut line = serde_json::to_vec(answer).expect("an answer is plain data");
    line.push(b'\n');
    line
}

/// A subscription, which ends with its connection, and whether the connection has presented the token.
struct Subscription<'a> {
    shell: &'a Shell,
    id: Option<u64>,
    /// The hold that this connection has armed.
    hold: Option<u64>,
    authorized: bool,
}

impl Subscription<'_> {
    /// Takes the hold of this connection back, or ends it.
    fn let_go(&mut self) {
        if let Some(hold) = self.hold.take() {
            self.shell.points.let_go(hold);
            self.shell.storage_points.let_go(hold);
        }
    }
}

impl Drop for Subscription<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.shell.points.unsubscribe(id);
        }
        self.let_go();
    }
}

async fn serve(shell: &Shell, stream: TcpStream, place: &Place) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let (sender, mut reached) = mpsc::channel(SUBSCRIBER_QUEUE);
    let (lease_sender, mut leases) = mpsc::channel(WATCHER_QUEUE);
    let mut subscription = Subscription { shell, id: None, hold: None, authorized: false };
    let mut text = Vec::new();
    loop {
        let room = (MAX_REQUEST - text.len()) as u64;
        let mut bounded = (&mut read).take(room);
        // If a point interrupts a read, the part already read stays in `text`.
        tokio::select! {
            biased;
            Some(point) = reached.recv() => write.write_all(&line(&Answer::Point { point })).await?,
            Some(lease) = leases.recv() => write.write_all(&line(&Answer::Lease { lease })).await?,
            count = bounded.read_until(b'\n', &mut text) => {
                if count? == 0 && text.is_empty() {
                    return Ok(());
                }
                if text.last() != Some(&b'\n') {
                    let message = format!("a request is one line of JSON of at most {MAX_REQUEST} bytes");
                    write.write_all(&line(&Answer::Error { message })).await?;
                    return Ok(());
                }
                let answer = match serde_json::from_slice::<Request>(&text) {
                    Ok(request) if request.needs_token() && !subscription.authorized => {
                        return refuse(&mut write, "this request needs the node's token: send {\"do\":\"authorize\",\"token\":...} with \
                            the content of control.token in its data folder first").await;
                    }
                    Ok(Request::Authorize { token }) if !shell.control_token.is(&token) => {
                        return refuse(&mut write, "this is not the token of this node: see control.token in its data folder").await;
                    }
                    Ok(request) => handle(shell, request, (&sender, &lease_sender), &mut subscription),
                    Err(cause) => {
                        // The sender may speak another protocol, such as HTTP, whose next lines could look like requests.
                        return refuse(&mut write, &format!("not a control request: {cause}")).await;
                    }
                };
                if subscription.authorized {
                    place.keep();
                }
                text.clear();
                write.write_all(&line(&answer.unwrap_or_else(|message| Answer::Error { message }))).await?;
            }
        }
    }
}

/// Sends the reason and closes the connection.
async fn refuse(write: &mut OwnedWriteHalf, why: &str) -> std::io::Result<()> {
    let message = format!("{why}. This connection is closed");
    write.write_all(&line(&Answer::Error { message })).await?;
    Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, why))
}

fn handle(
    shell: &Shell,
    request: Request,
    (sender, lease_sender): (&mpsc::Sender<PointReached>, &mpsc::Sender<LeaseChanged>),
    subscription: &mut Subscription<'_>,
) -> Result<Answer, String> {
    match request {
        // The token has already been checked.
        Request::Authorize { token: _ } => subscription.authorized = true,
        Request::Identify {} => return Ok(Answer::Identity { identity: shell.identity() }),
        Request::Status {} => return Ok(Answer::Status { status: Box::new(shell.status()) }),
        Request::Metrics {} => return Ok(Answer::Metrics { text: shell.status().to_prometheus() }),
        Request::SetClock { offset_us, drift_ppm, freeze } => {
            if drift_ppm.abs() > MAX_DRIFT_PPM {
                return Err(format!("a drift of {drift_ppm} ppm is not within +-{MAX_DRIFT_PPM}"));
            }
            shell.clock.borrow_mut().set(ClockSkew { offset_us, drift_ppm, frozen: freeze });
            shell.clock_changed.set(true);
            // The real times at which timers expire have changed.
            shell.inbox.bell.notify_one();
            shell.log.warn("clock_set", &[("offset_us", &offset_us), ("drift_ppm", &drift_ppm), ("freeze", &freeze)]);
        }
        Request::Failpoint { name, action } => {
            let kind = match action {
                FailpointAction::Arm { delay_us } => {
                    shell.storage_points.arm_failpoint(name, delay_us);
                    "armed"
                }
                FailpointAction::Disarm => {
                    shell.storage_points.disarm_failpoint(name);
                    "disarmed"
                }
            };
            shell.log.warn("failpoint", &[("name", &name.as_str()), ("action", &kind)]);
        }
        Request::Inject { point, injection, skip, key } => {
            match points::parse(&point)? {
                AnyPoint::Protocol(at) => shell.points.arm(at, key.map(String::into_bytes), injection, skip)?,
                AnyPoint::Storage(_) if key.is_some() => return Err(format!("{point} is a point of the storage: it knows no keys")),
                AnyPoint::Storage(at) => shell.storage_points.arm(at, injection, skip)?,
            }
            shell.log.warn("point_armed", &[("point", &point), ("injection", &injection.name())]);
        }
        Request::Disarm { point } => {
            match points::parse(&point)? {
                AnyPoint::Protocol(at) => shell.points.disarm(at),
                AnyPoint::Storage(at) => shell.storage_points.disarm(at),
            }
            shell.log.warn("point_disarmed", &[("point", &point)]);
        }
        Request::Subscribe { points } => {
            let points = points.iter().map(|name| points::parse_protocol(name)).collect::<Result<Vec<_>, _>>()?;
            if let Some(old) = subscription.id.replace(shell.points.subscribe(points, sender.clone())) {
                shell.points.unsubscribe(old);
            }
        }
        Request::Arm { point, key, hold_ms } => {
            let point = points::parse_protocol(&point)?;
            shell.points.arm(point, key.map(String::into_bytes), Injection::Hold { ms: hold_ms }, 0)?;
        }
        Request::HoldAt { point, skip, hold_ms } => {
            subscription.let_go();
            let owner = HoldOwner { id: shell.points.next_id(), node: shell.name.clone(), sender: sender.clone() };
            let id = owner.id;
            match points::parse(&point)? {
                AnyPoint::Protocol(at) => shell.points.hold_at(at, hold_ms, skip, owner)?,
                AnyPoint::Storage(at) => shell.storage_points.hold_at(at, hold_ms, skip, owner)?,
            }
            subscription.hold = Some(id);
            shell.log.warn("hold_armed", &[("point", &point), ("hold_ms", &hold_ms)]);
        }
        Request::Release {} => shell.points.release(),
        Request::WatchLeases {} => shell.leases.watch(lease_sender.clone()),
        Request::Stop {} => {
            shell.log.info("stop_asked", &[]);
            shell.stopper.stop();
        }
    }
    Ok(Answer::Ok)
}
