//! Sets the clocks of nodes over the control channel.

use crate::identity::control_with_token;
use crate::{ANSWER_TIMEOUT, Paxos};
use heckle_paxos::lease::LeaseMode;
use heckle_server::status::Status;
use heckle_system_api::capability::{ClockState, Clocks};
use heckle_system_api::launch::NodeSpec;

impl Clocks for Paxos {
    fn set(&self, node: &NodeSpec, state: ClockState) -> Result<ClockState, String> {
        let mut client = control_with_token(node, ANSWER_TIMEOUT)?;
        let status = client.set_clock(state.offset_us, state.drift_ppm).and_then(|()| client.status());
        status.map(|status| of(&status)).map_err(|e| e.to_string())
    }

    fn read(&self, node: &NodeSpec) -> Result<ClockState, String> {
        crate::figures::status(node).map(|status| of(&status))
    }

    /// Only read leases depend on a drift bound. Without them, the bound is 10 %, which no real clock exceeds.
    fn drift_bound_ppm(&self) -> i64 {
        match self.settings.lease.mode {
            LeaseMode::Read => i64::from(self.settings.lease.drift_ppm),
            LeaseMode::Off | LeaseMode::Priority => 100_000,
        }
    }
}

fn of(status: &Status) -> ClockState {
    ClockState { offset_us: status.clock_offset_us, drift_ppm: status.clock_drift_ppm }
}
