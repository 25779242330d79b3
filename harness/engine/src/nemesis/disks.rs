//! Makes the disks of nodes slow or fail, if the system supports it. The evidence consists of the nodes' reports and of how the nodes end.

use super::evidence::add;
use crate::cluster::{Cluster, Evidence, SelfEnd};
use crate::stop::Stop;
use heckle_faults::{DiskFailure, EndCause, Node};
use heckle_system_api::capability::{DelayedSyncs, Disks, Points};
use std::time::{Duration, Instant};

/// Time limit for a node under load to begin a sync, and to complete one that is no longer delayed.
const SYNC_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest delay for which the injection waits until a delayed sync has ended.
const SHORT: Duration = Duration::from_millis(100);
/// Time limit for a node that another fault has taken down to answer.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(10);

/// Slows down every sync of these nodes, and waits until each node has begun a delayed sync, or ended it if the delay
/// is no longer than [`SHORT`]. The figures are read now, since a later fault may destroy them along with the node's process.
///
/// # Errors
/// If a node does not accept the delay.
pub(super) fn delay_syncs(cluster: &Cluster, nodes: &[Node], delay_us: u64, stop: &Stop) -> Result<Evidence, String> {
    let disks = disks_of(cluster)?;
    let delay = Duration::from_micros(delay_us);
    for node in nodes {
        until_back(|| disks.delay_syncs(&cluster.spec(*node), delay))?;
    }
    let is_short = delay <= SHORT;
    let is_missing = |seen: &DelayedSyncs| seen.count == 0 || (is_short && seen.max_us == 0);
    let deadline = Instant::now() + SYNC_TIMEOUT;
    let mut evidence = Evidence::from([("asked_delay_us".to_owned(), delay_us.into())]);
    for node in nodes {
        let mut seen = disks.delayed_syncs(&cluster.spec(*node));
        while seen.as_ref().is_ok_and(is_missing) && Instant::now() < deadline && !stop.asked() {
            std::thread::sleep(Duration::from_millis(2));
            seen = disks.delayed_syncs(&cluster.spec(*node));
        }
        // A node that has been taken down in the meantime has no figures.
        add(&mut evidence, figures(seen.unwrap_or_default()));
    }
    Ok(evidence)
}

/// Repeats a request until the node answers: another fault may take the node down in the middle of a request, and later bring it back.
fn until_back(mut ask: impl FnMut() -> Result<(), String>) -> Result<(), String> {
    let deadline = Instant::now() + RECOVERY_TIMEOUT;
    loop {
        match ask() {
            Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
            answered => return answered,
        }
    }
}

fn figures(seen: DelayedSyncs) -> Evidence {
    let figures = [("delayed_syncs", seen.count), ("measured_delay_us", seen.max_us)];
    figures.into_iter().filter(|(_, figure)| *figure > 0).map(|(name, figure)| (name.to_owned(), figure.into())).collect()
}

/// Removes the delay, which lets a delayed sync finish. A process started in the meantime has no delay.
///
/// # Errors
/// If a node does not answer.
pub(super) fn restore_syncs(cluster: &Cluster, nodes: &[Node]) -> Result<Evidence, String> {
    let disks = disks_of(cluster)?;
    let mut longest = 0;
    for node in nodes {
        let spec = cluster.spec(*node);
        until_back(|| disks.restore_syncs(&spec))?;
        let deadline = Instant::now() + SYNC_TIMEOUT;
        let mut seen = disks.delayed_syncs(&spec);
        while seen.as_ref().is_ok_and(|seen| seen.count > 0 && seen.max_us == 0) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
            seen = disks.delayed_syncs(&spec);
        }
        longest = longest.max(seen.map_or(0, |seen| seen.max_us));
    }
    Ok(if longest > 0 { [("measured_delay_us".to_owned(), longest.into())].into() } else { Evidence::new() })
}

/// Makes these nodes end by themselves.
///
/// # Errors
/// If a node does not accept the request.
pub(super) fn end_when(cluster: &Cluster, nodes: &[Node], cause: &EndCause) -> Result<Evidence, String> {
    for node in nodes {
        // Skip a node that has just ended by itself: its end is not this fault's effect.
        if !cluster.is_running(*node) {
            return Ok([("was_down".to_owned(), node.to_string().into())].into());
        }
        match cause {
            EndCause::Disk(failure) => {
                let disks = disks_of(cluster)?;
                cluster.expect_end(*node, SelfEnd::Code(disks.failed_exit_code()), name_of(*failure));
                cluster.unless_ended(*node, disks.fail(&cluster.spec(*node), Some(*failure)))?;
            }
            EndCause::Point(point) => {
                let points = points_of(cluster)?;
                cluster.expect_end(*node, SelfEnd::Killed { last_words: points.last_words(point) }, "crash-at");
                cluster.unless_ended(*node, points.crash_at(&cluster.spec(*node), point))?;
            }
        }
    }
    Ok(Evidence::new())
}

/// Restarts the nodes that have ended, and withdraws the cause from the others.
///
/// # Errors
/// If a node does not start, or the cause cannot be withdrawn.
pub(super) fn undo_end(cluster: &Cluster, nodes: &[Node], cause: &EndCause) -> Result<Evidence, String> {
    let mut evidence = Evidence::new();
    for node in nodes {
        let spec = cluster.spec(*node);
        let (effect, ended) = match cause {
            EndCause::Disk(_) => {
                let disks = disks_of(cluster)?;
                ("disk_failed", cluster.await_self_end(*node, || disks.fail(&spec, None))?)
            }
            EndCause::Point(point) => {
                let points = points_of(cluster)?;
                ("ended_at_point", cluster.await_self_end(*node, || points.disarm(&spec, point))?)
            }
        };
        if ended {
            add(&mut evidence, [(effect.to_owned(), 1.into())].into());
            add(&mut evidence, cluster.restart(*node)?);
        } else {
            let what = match cause {
                EndCause::Disk(failure) => format!("no {} failed", name_of(*failure)),
                EndCause::Point(point) => format!("{point} was not reached"),
            };
            add(&mut evidence, [(format!("not_ended_{node}"), what.into())].into());
        }
    }
    Ok(evidence)
}

fn name_of(failure: DiskFailure) -> &'static str {
    match failure {
        DiskFailure::Write => "disk write",
        DiskFailure::Sync => "disk sync",
        DiskFailure::Full => "disk full",
    }
}

fn disks_of(cluster: &Cluster) -> Result<&dyn Disks, String> {
    let system = cluster.system();
    system.disks().ok_or_else(|| format!("the disks of {} cannot be made to fail", system.name()))
}

fn points_of(cluster: &Cluster) -> Result<&dyn Points, String> {
    let system = cluster.system();
    system.points().ok_or_else(|| format!("{} has no named points", system.name()))
}
