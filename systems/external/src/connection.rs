//! A client connection through a driver. Each open operation has its own client number in the driver. After an unknown outcome, the
//! client number is never reused, as with the process number in the history.

use crate::driver::Driver;
use heckle_system_api::connection::{Connection, Op, Outcome, Pending, Reply};
use std::cell::RefCell;
use std::sync::Arc;

/// A client of one node.
pub(crate) struct DriverConnection {
    driver: Option<Arc<Driver>>,
    node: String,
    /// What precedes the names of keys in the system.
    prefix: String,
    /// Client numbers with no open operation.
    idle: RefCell<Vec<u64>>,
}

impl DriverConnection {
    /// Creates a client of a node. Without a driver, every operation fails without being sent.
    pub(crate) fn new(driver: Option<Arc<Driver>>, node: &str, prefix: String) -> Self {
        DriverConnection { driver, node: node.to_owned(), prefix, idle: RefCell::default() }
    }

    async fn run(&self, mut op: Op) -> Reply {
        let Some(driver) = &self.driver else { return Reply::because(Outcome::NotApplied, "not_sent: there is no driver") };
        if !self.prefix.is_empty() {
            op.key = format!("{}{}", self.prefix, op.key).into();
        }
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
