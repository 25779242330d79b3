//! A client connection over a driver. Each open operation has its own client number in the driver. After an unknown outcome, the client
//! number is never used again, as with the process number in the history.

use crate::driver::Driver;
use heckle_system_api::connection::{Connection, Op, Outcome, Pending, Reply};
use std::cell::RefCell;
use std::sync::Arc;

/// A client of one node.
pub(crate) struct DriverConnection {
    driver: Option<Arc<Driver>>,
    node: String,
    /// Client numbers with no open operation.
    idle: RefCell<Vec<u64>>,
}

impl DriverConnection {
    /// Creates a client of a node. Without a driver, every operation fails without being sent.
    pub(crate) fn new(driver: Option<Arc<Driver>>, node: &str) -> Self {
        DriverConnection { driver, node: node.to_owned(), idle: RefCell::default() }
    }

    async fn run(&self, op: Op) -> Reply {
        let Some(driver) = &self.driver else { return Reply::because(Outcome::NotApplied, "not_sent: there is no driver") };
        let idle = self.idle.borrow_mut().pop();
        let client = idle.unwrap_or_else(|| driver.new_client());
        let reply = driver.call(client, &self.node, &op).await;
        if reply.outcome != Outcome::Unknown {
            self.idle.borrow_mut().push(client);
        }
        reply
    }
}

impl Connection for DriverConnection {
    fn call(&self, op: Op) -> Pending<'_, Reply> {
        Box::pin(self.run(op))
    }
}
