//! Sends replies to clients.

use std::rc::Rc;

use super::{OpenOp, Shell};
use crate::client_protocol::{Response, ToClient};
use crate::clients::connection::ClientConnection;

impl Shell {
    /// Sends the reply to an operation, if its client is still connected.
    pub(crate) fn answer(&self, to: &OpenOp, response: Response) {
        self.counts.ops(|ops| {
            *ops.of(&response.outcome) += 1;
        });
        let connection = self.clients.borrow().get(&to.connection).map(Rc::clone);
        if let Some(connection) = connection {
            connection.open.borrow_mut().remove(&to.op.client);
            self.send_to_client(&connection, &ToClient::Response(response));
        }
    }

    /// Queues a message for a client. It is sent at the end of this turn.
    pub(crate) fn send_to_client(&self, connection: &ClientConnection, message: &ToClient) {
        if connection.outbox.push(|out| message.encode(out)).is_ok() {
            self.flush_at_end_of_turn(&connection.outbox);
        } else {
            // The writer task ends the connection and logs the reason.
            connection.outbox.close();
        }
    }
}
