//! Sends answers to clients.

use std::rc::Rc;

use super::{OpenOp, Shell};
use crate::client_protocol::{Response, ToClient};
use crate::clients::connection::ClientConnection;

impl Shell {
    /// Answers an operation, if its client is still there.
    pub(crate) fn answer(&self, to: OpenOp, response: Response) {
        self.counts.ops(|ops| {
            *ops.of(&response.outcome) += 1;
        });
        let connection = self.clients.borrow().get(&to.connection).map(Rc::clone);
        if let Some(connection) = connection {
            connection.open.borrow_mut().remove(&to.op.client);
            self.send_to_client(&connection, &ToClient::Response(response));
        }
    }

    /// Queues a message for a client, to leave at the end of this turn.
    pub(crate) fn send_to_client(&self, connection: &ClientConnection, message: &ToClient) {
        if connection.outbox.push(|out| message.encode(out)).is_ok() {
            self.will_flush(&connection.outbox);
        } else {
            // Its writer task ends the connection and logs why.
            connection.outbox.close();
        }
    }
}
