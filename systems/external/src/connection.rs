//! A client connection over a driver: each operation that is open has a client number of its own there, which retires after an unknown
//! outcome as its process does.

use crate::driver::Driver;
use heckle_system_api::connection::{Connection, Op, Outcome, Pending, Reply};
use std::cell::RefCell;
use std::sync::Arc;

/// A client of one node.
pub(crate) struct DriverConnection {
    driver: Option<Arc<Driver>>,
    node: String,
    /// Clients that have nothing open.
    idle: RefCell<Vec<u64>>,
}

impl DriverConnection {
    /// A client of a node. Without a driver every operation fails unsent.
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
