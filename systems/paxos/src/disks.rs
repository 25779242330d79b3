//! Makes the disks of nodes fail: over the control channel while the nodes run, and in their data folders when they are
//! dead.

use crate::identity::control_with_token;
use crate::{ANSWER_TIMEOUT, Paxos};
use heckle_faults::DiskFailure;
use heckle_server::node::{EXIT_DATA, EXIT_DISK};
use heckle_server::points::{Failpoint, FailpointAction};
use heckle_server::{StorageError, lose_power, unsynced_writes};
use heckle_system_api::capability::{DelayedSyncs, Disks, LostData};
use heckle_system_api::launch::NodeSpec;
use std::path::Path;
use std::time::Duration;

impl Disks for Paxos {
    fn unsynced_writes(&self, data: &Path) -> Result<Option<u64>, String> {
        unsynced_writes(data).map_err(|e| e.to_string())
    }

    fn lose_power(&self, data: &Path, seed: u64) -> Result<Option<LostData>, String> {
        match lose_power(data, seed) {
            Ok(loss) => Ok(Some(LostData {
                unsynced: loss.unsynced(),
                bytes_lost: loss.bytes_lost,
                bytes_kept: loss.bytes_kept,
                writes_torn: loss.writes_torn,
                names_lost: loss.names_lost,
                names_kept: loss.names_kept,
            })),
            // The node ran without an overlay: that is the only cause of this error before anything has been changed.
            Err(StorageError::Unusable { cause, .. }) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    fn delay_syncs(&self, node: &NodeSpec, delay: Duration) -> Result<(), String> {
        arm(node, Failpoint::SlowSync, u64::try_from(delay.as_micros()).unwrap_or(u64::MAX))
    }

    fn delayed_syncs(&self, node: &NodeSpec) -> Result<DelayedSyncs, String> {
        let delays = crate::figures::status(node)?.injected_delays;
        Ok(DelayedSyncs { count: delays.count, max_us: delays.max_us })
    }

    fn fail(&self, node: &NodeSpec, failure: Option<DiskFailure>) -> Result<(), String> {
        match failure {
            Some(DiskFailure::Write) => arm(node, Failpoint::FailWrite, 0),
            Some(DiskFailure::Sync) => arm(node, Failpoint::FailSync, 0),
            Some(DiskFailure::Full) => arm(node, Failpoint::DiskFull, 0),
            None => disarm(node, &[Failpoint::FailWrite, Failpoint::FailSync, Failpoint::DiskFull]),
        }
    }

    fn restore_syncs(&self, node: &NodeSpec) -> Result<(), String> {
        disarm(node, &[Failpoint::SlowSync])
    }

    fn failed_exit_code(&self) -> i32 {
        i32::from(EXIT_DISK)
    }

    fn takes_part(&self, node: &NodeSpec) -> Result<bool, String> {
        crate::figures::status(node).map(|status| status.voting)
    }

    fn refused_exit_code(&self) -> i32 {
        i32::from(EXIT_DATA)
    }

    fn identity_files(&self) -> &'static [&'static str] {
        &["identity.json"]
    }
}

fn arm(node: &NodeSpec, failpoint: Failpoint, delay_us: u64) -> Result<(), String> {
    let mut client = control_with_token(node, ANSWER_TIMEOUT)?;
    client.failpoint(failpoint, FailpointAction::Arm { delay_us }).map_err(|e| e.to_string())
}

fn disarm(node: &NodeSpec, failpoints: &[Failpoint]) -> Result<(), String> {
    let mut client = control_with_token(node, ANSWER_TIMEOUT)?;
    failpoints.iter().try_for_each(|failpoint| client.failpoint(*failpoint, FailpointAction::Disarm)).map_err(|e| e.to_string())
}
