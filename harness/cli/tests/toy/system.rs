//! A toy system under test, whole: registers in one file on disk, served by one process. It is what the traits of `systems/api` ask for and
//! nothing more, so it is also the smallest example of a system of one's own.

use heckle_history::{Call, Current, NodeIx, Seen};
use heckle_system_api::connection::{Connection, Op, Outcome, Pending, Reply};
use heckle_system_api::identity::Target;
use heckle_system_api::launch::{NodeSpec, Process, Site};
use heckle_system_api::process::ProcessSpec;
use heckle_system_api::value::ValueCodec;
use heckle_system_api::{SettingKey, System, SystemKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};

/// The toy in a list of systems.
#[derive(Debug)]
pub(crate) struct ToyKind;

/// The toy with its settings. `stale`: a planted bug, reads give the value before the last.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Toy {
    stale: bool,
}

const KEYS: &[SettingKey] = &[SettingKey::new("stale", "a planted bug: reads give the value before the last [default: false]")];

impl SystemKind for ToyKind {
    fn name(&self) -> &'static str {
        "toy"
    }

    fn keys(&self) -> &'static [SettingKey] {
        KEYS
    }

    fn accepts(&self, key: &str, value: &toml::Value) -> Result<(), String> {
        heckle_system_api::settings::accepts::<Toy>(key, value)
    }

    fn build(&self, settings: &toml::Table, nodes: u16) -> Result<Arc<dyn System>, String> {
        if nodes != 1 {
            return Err(format!("nodes = {nodes}: the toy is one process"));
        }
        Ok(Arc::new(settings.clone().try_into::<Toy>().map_err(|e| e.message().to_owned())?))
    }
}

impl System for Toy {
    fn name(&self) -> &'static str {
        "toy"
    }

    fn program(&self) -> Result<PathBuf, String> {
        std::env::current_exe().map_err(|e| e.to_string())
    }

    fn nodes(&self, site: &Site<'_>) -> Result<Vec<NodeSpec>, String> {
        let (node, addr) = (NodeIx(0), site.addresses.take(1)?[0]);
        let args = vec!["toy-node".into(), addr.to_string().into(), site.data_of(node).into(), self.stale.to_string().into()];
        let processes = vec![ProcessSpec::only(args)];
        let listens = vec![addr];
        Ok(vec![NodeSpec { name: Site::name(node), processes, client: addr, ask: addr, listens, node: site.identity(node) }])
    }

    fn await_ready(
        &self,
        _: &NodeSpec,
        process: &mut dyn Process,
        within: Duration,
    ) -> Result<BTreeMap<String, serde_json::Value>, String> {
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            if process.line(Duration::from_millis(20)).is_some_and(|line| line == "ready") {
                return Ok(BTreeMap::new());
            }
            if let Some(how) = process.ended() {
                return Err(format!("it ended with {how}"));
            }
        }
        Err("it was not ready in time".into())
    }

    fn is_ready(&self, node: &NodeSpec) -> bool {
        TcpStream::connect_timeout(&node.ask, Duration::from_millis(100)).is_ok()
    }

    fn connect(&self, target: &Target, _: String, codec: ValueCodec) -> Rc<dyn Connection> {
        Rc::new(ToyConnection { addr: target.addr, codec })
    }

    fn settings(&self) -> toml::Table {
        toml::Table::try_from(self).expect("plain data")
    }
}

struct ToyConnection {
    addr: SocketAddr,
    codec: ValueCodec,
}

impl ToyConnection {
    /// One connection for each operation. What was not connected was not sent; all else that has no reply is unknown.
    async fn run(&self, op: Op) -> Reply {
        let Ok(mut stream) = tokio::net::TcpStream::connect(self.addr).await else {
            return Reply::because(Outcome::NotApplied, "not_sent: refused");
        };
        let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let word = |value, payload| hex(self.codec.encode(value, payload));
        let line = match op.call {
            Call::Read => format!("read {}\n", op.key),
            Call::Write { new } => format!("write {} {}\n", op.key, word(new, op.payload)),
            Call::Cas { expected, new } => {
                let expected = expected.map_or("-".into(), |value| word(value, op.expected_payload));
                format!("cas {} {expected} {}\n", op.key, word(new, op.payload))
            }
        };
        let exchange = async {
            stream.write_all(line.as_bytes()).await?;
            let mut answer = String::new();
            tokio::io::BufReader::new(&mut stream).read_line(&mut answer).await.map(|_| answer)
        };
        let answer = match tokio::time::timeout(op.timeout, exchange).await {
            Ok(Ok(answer)) if answer.ends_with('\n') => answer,
            Ok(_) => return Reply::because(Outcome::Unknown, "connection: closed"),
            Err(_) => return Reply::because(Outcome::Unknown, "timeout"),
        };
        let byte = |at: usize| u8::from_str_radix(&answer[at..at + 2], 16).ok();
        let bytes: Option<Vec<u8>> = (0..answer.trim().len() / 2).map(|i| byte(2 * i)).collect();
        let (value, payload) = match answer.trim() {
            "-" => (None, None),
            "done" => (None, None),
            _ => bytes.map(|bytes| self.codec.decode(&bytes)).map_or((None, None), |(value, payload)| (Some(value), payload)),
        };
        let seen = match (op.call, answer.trim()) {
            (Call::Read, _) => Seen::Value(value),
            (Call::Write { .. }, _) => Seen::Written,
            (Call::Cas { .. }, "done") => Seen::Applied,
            (Call::Cas { .. }, _) => Seen::ConditionNotMet(Current::Known(value)),
        };
        Reply { outcome: Outcome::Ok(seen), payload, reason: None, diagnostics: None }
    }
}

impl Connection for ToyConnection {
    fn call(&self, op: Op) -> Pending<'_, Reply> {
        Box::pin(self.run(op))
    }
}

/// `toy-node ADDRESS FOLDER STALE`: serves until it is ended, or its parent is.
pub(crate) fn serve(args: &[String]) -> std::io::Result<()> {
    let (folder, stale) = (Path::new(&args[1]), args[2] == "true");
    std::fs::create_dir_all(folder)?;
    let file = folder.join("registers.json");
    let stored = std::fs::read_to_string(&file).unwrap_or_else(|_| "{}".into());
    let registers: Mutex<BTreeMap<String, Vec<String>>> = Mutex::new(serde_json::from_str(&stored)?);
    let listener = TcpListener::bind(args[0].parse::<SocketAddr>().expect("an address"))?;
    println!("ready");
    std::thread::scope(|scope| {
        for stream in listener.incoming().flatten() {
            let (registers, file) = (&registers, &file);
            scope.spawn(move || {
                let mut line = String::new();
                if BufReader::new(&stream).read_line(&mut line).is_ok_and(|n| n > 0) {
                    let _ = writeln!(&stream, "{}", obey(line.trim(), &mut registers.lock().expect("no panic"), file, stale));
                }
            });
        }
    });
    Ok(())
}

/// Carries out one line. What it changes is on disk before it is answered.
fn obey(line: &str, registers: &mut BTreeMap<String, Vec<String>>, file: &Path, stale: bool) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let values = registers.entry(words[1].to_owned()).or_default();
    let now = values.last().cloned().unwrap_or("-".into());
    let new = match (words[0], words.len()) {
        ("write", 3) => words[2],
        ("cas", 4) if now == words[2] => words[3],
        ("read", 2) if stale => return values.iter().rev().nth(1).cloned().unwrap_or("-".into()),
        _ => return now,
    };
    values.push(new.to_owned());
    // The value before the last is all that the planted bug needs.
    values.drain(..values.len().saturating_sub(2));
    let whole = serde_json::to_vec(registers).expect("plain data");
    let write = || {
        let next = file.with_extension("next");
        std::fs::write(&next, whole)?;
        std::fs::File::open(&next)?.sync_all()?;
        std::fs::rename(&next, file)
    };
    write().expect("a disk");
    "done".into()
}
