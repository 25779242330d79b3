//! A null system: one process that answers every request immediately, from memory. A load on it therefore measures the load generator.
//!
//! It speaks the client protocol of the bundled server and stores a register for each key, so that the recorded history can be judged.

use bytes::BytesMut;
use heckle_server::client_protocol::{
    Call, Diagnostics, FolderId, Identity, Limits, Outcome, PROTOCOL, Request, Response, ToClient, ToNode,
};
use heckle_server::client_protocol::{MAX_KEY, MAX_REQUEST, MAX_VALUE, Welcome};
use heckle_server::frame::FrameReader;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Name of the cluster.
pub const CLUSTER: &str = "null";
/// Name of the node.
pub const NODE: &str = "n1";
/// Line printed on stdout once the process listens.
pub const READY: &str = "ready";

type Registers = Rc<RefCell<HashMap<Vec<u8>, Vec<u8>>>>;

/// Serves clients until stdin ends.
///
/// # Errors
/// If it cannot listen on the address.
pub fn serve(listen: SocketAddr) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| format!("cannot start: {e}"))?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind(listen).await.map_err(|e| format!("cannot listen on {listen}: {e}"))?;
        crate::limits::thread("stdin", exit_with_stdin).map_err(|e| crate::limits::no_thread(&e))?;
        outln!("{READY}");
        let registers = Registers::default();
        loop {
            let (stream, _) = listener.accept().await.map_err(|e| format!("cannot accept a client: {e}"))?;
            let registers = registers.clone();
            // A client that disconnects or violates the protocol only loses its own connection.
            tokio::task::spawn_local(async move { serve_client(stream, &registers).await });
        }
    })
}

/// Ends the process when its parent closes the pipe or is gone.
fn exit_with_stdin() {
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    std::process::exit(0);
}

async fn serve_client(mut stream: TcpStream, registers: &Registers) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let (mut frames, mut out) = (FrameReader::new(), BytesMut::new());
    loop {
        if stream.read_buf(frames.buffer_mut()).await.ok()? == 0 {
            return None;
        }
        while let Some(frame) = frames.next_frame().ok()? {
            match ToNode::decode(&frame).ok()? {
                ToNode::Hello(_) => ToClient::Welcome(welcome()).encode(&mut out),
                ToNode::Request(request) => ToClient::Response(answer(request, registers)).encode(&mut out),
            }
        }
        // Answer together all requests that arrived together.
        stream.write_all_buf(&mut out).await.ok()?;
    }
}

fn welcome() -> Welcome {
    let identity = Identity { cluster: CLUSTER.to_owned(), node: NODE.to_owned(), folder: FolderId::default() };
    let limits = Limits { max_key: MAX_KEY as u32, max_value: MAX_VALUE as u32, max_frame: MAX_REQUEST as u32, max_in_flight: u32::MAX };
    Welcome { protocol: PROTOCOL, identity, incarnation: 1, limits }
}

fn answer(request: Request, registers: &Registers) -> Response {
    let mut registers = registers.borrow_mut();
    let outcome = match request.call {
        Call::Read => Outcome::Value { value: registers.get(&request.key).cloned() },
        Call::Write { new } => {
            registers.insert(request.key, new);
            Outcome::Applied
        }
        Call::Cas { expected, new } => {
            let current = registers.get(&request.key);
            if current == expected.as_ref() {
                registers.insert(request.key, new);
                Outcome::Applied
            } else {
                Outcome::ConditionNotMet { current: current.cloned() }
            }
        }
        Call::Fate { .. } | Call::Put { .. } | Call::Get { .. } => Outcome::Invalid { why: "the null system does not do that".to_owned() },
    };
    Response { op: request.op, outcome, diagnostics: Diagnostics::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_server::client_protocol::{OpId, Provenance};

    #[test]
    fn a_key_is_a_register() {
        let registers = Registers::default();
        let call = |call| {
            let request =
                Request { op: OpId { client: 1, seq: 1 }, key: b"k".to_vec(), timeout_us: 1, provenance: Provenance::First, call };
            answer(request, &registers).outcome
        };
        let value = |text: &[u8]| Some(text.to_vec());
        assert_eq!(call(Call::Read), Outcome::Value { value: None });
        assert_eq!(call(Call::Cas { expected: value(b"1"), new: b"2".to_vec() }), Outcome::ConditionNotMet { current: None });
        assert_eq!(call(Call::Cas { expected: None, new: b"2".to_vec() }), Outcome::Applied);
        assert_eq!(call(Call::Write { new: b"3".to_vec() }), Outcome::Applied);
        assert_eq!(call(Call::Cas { expected: value(b"2"), new: b"4".to_vec() }), Outcome::ConditionNotMet { current: value(b"3") });
        assert_eq!(call(Call::Read), Outcome::Value { value: value(b"3") });
    }
}
