//! A complete toy system under test: registers in one file on disk, served by one process. It implements only what the
//! traits of `systems/api` require, so it is also the smallest example of a system adapter.

use heckle_history::{Call, Current, NodeIx, Seen, Value};
use heckle_system_api::connection::{Connection, Op, Pending, Reply};
use heckle_system_api::exchange::{self, Failure};
use heckle_system_api::identity::Target;
use heckle_system_api::launch::{NodeSpec, Site};
use heckle_system_api::process::ProcessSpec;
use heckle_system_api::value::ValueCodec;
use heckle_system_api::{SettingKey, System, SystemKind, settings};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// The toy, as an entry in a list of systems.
#[derive(Debug)]
pub(crate) struct ToyKind;

/// The toy with its settings. `stale` is a planted bug: reads return the previous value instead of the latest one.
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
        settings::accepts::<Toy>(key, value)
    }

    fn build(&self, settings: &toml::Table, nodes: u16) -> Result<Arc<dyn System>, String> {
        if nodes != 1 {
            return Err(format!("nodes = {nodes}: the toy is one process"));
        }
        Ok(Arc::new(settings::parse::<Toy>(settings)?))
    }
}

impl System for Toy {
    fn name(&self) -> &'static str {
        "toy"
    }

    fn nodes(&self, site: &Site<'_>) -> Result<Vec<NodeSpec>, String> {
        let (node, addr) = (NodeIx(0), site.addresses.take(1)?[0]);
        let args = vec!["toy-node".into(), addr.to_string().into(), site.data_of(node).into(), self.stale.to_string().into()];
        Ok(vec![NodeSpec::single(site, node, addr, ProcessSpec::only(args))])
    }

    fn connect(&self, target: &Target, _: String, _: ValueCodec) -> Rc<dyn Connection> {
        Rc::new(ToyConnection { addr: target.addr })
    }

    fn carries_payloads(&self) -> bool {
        false
    }

    fn settings(&self) -> toml::Table {
        settings::table(self)
    }
}

struct ToyConnection {
    addr: SocketAddr,
}

impl ToyConnection {
    /// Sends each operation as one line on a new connection.
    async fn attempt(&self, op: &Op) -> Result<(Seen, Option<i64>), Failure> {
        let request = match op.call {
            Call::Read => format!("read {}", op.key),
            Call::Write { new } => format!("write {} {}", op.key, new.0),
            Call::Cas { expected, new } => {
                let expected = expected.map_or("-".into(), |value| value.0.to_string());
                format!("cas {} {expected} {}", op.key, new.0)
            }
        };
        let reply = exchange::line(self.addr, &request).await?;
        let value = if reply == "-" { Some(None) } else { reply.parse().ok().map(|n| Some(Value(n))) };
        let seen = match (op.call, value) {
            (Call::Write { .. }, None) if reply == "done" => Seen::Written,
            (Call::Cas { .. }, None) if reply == "done" => Seen::Applied,
            (Call::Read, Some(value)) => Seen::Value(value),
            (Call::Cas { .. }, Some(value)) => Seen::ConditionNotMet(Current::Known(value)),
            _ => return Err(Failure::Unknown(format!("unexpected reply `{reply}`"))),
        };
        Ok((seen, None))
    }
}

impl Connection for ToyConnection {
    fn call(&self, op: Op) -> Pending<'_, Reply> {
        Box::pin(async move { exchange::within(op.timeout, self.attempt(&op)).await })
    }
}

/// `toy-node ADDRESS FOLDER STALE`: serves until it is killed.
pub(crate) fn serve(args: &[String]) -> std::io::Result<()> {
    let (folder, file, stale) = (&args[1], Path::new(&args[1]).join("registers.json"), args[2] == "true");
    std::fs::create_dir_all(folder)?;
    let stored = std::fs::read_to_string(&file).unwrap_or_else(|_| "{}".into());
    let mut registers: BTreeMap<String, Vec<String>> = serde_json::from_str(&stored)?;
    for stream in TcpListener::bind(&args[0])?.incoming().flatten() {
        let mut line = String::new();
        if BufReader::new(&stream).read_line(&mut line).is_ok_and(|n| n > 0) {
            let _ = writeln!(&stream, "{}", obey(line.trim(), &mut registers, &file, stale));
        }
    }
    Ok(())
}

/// Executes one line. A change is on disk before the reply is sent.
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
    // The planted bug needs only the previous value.
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
