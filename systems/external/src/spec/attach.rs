//! Checks of `[system.attach]` that need no cluster.

use super::validate::{CLIENT, check_no_data, check_text, check_words, fault};
use super::{At, AttachText, Ready, SystemText, Words};
use std::time::Duration;

/// Time limit of a command, if the plan specifies none.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum of that limit. The harness waits for a command even if the run is to stop.
const MAX_COMMAND_TIMEOUT: Duration = Duration::from_secs(600);

impl AttachText {
    /// Returns the time limit of a command.
    pub(crate) fn command_timeout(&self) -> Duration {
        self.within.map_or(COMMAND_TIMEOUT, |within| within.0)
    }

    /// Returns the commands by their keys. Two of each pair undo each other.
    pub(crate) fn commands(&self) -> [(&'static str, &Words); 4] {
        [("kill", &self.kill), ("restart", &self.restart), ("pause", &self.pause), ("resume", &self.resume)]
    }
}

impl SystemText {
    pub(super) fn check_attach(&self, attach: &AttachText) -> Result<(), At> {
        let here = |key: &str, what: String| fault(&["system", "attach", key], what);
        if !self.process.is_empty() {
            let what = "the nodes of [system.attach] run already: leave out [[system.process]], or [system.attach]";
            return Err(fault(&["system", "attach"], what));
        }
        if attach.nodes.is_empty() {
            return Err(here("nodes", "nodes is empty: name the address of each node, such as \"10.0.0.1:5432\"".into()));
        }
        for (i, address) in attach.nodes.iter().enumerate() {
            let at = |what: String| fault(&["system", "attach", "nodes", &i.to_string()], what);
            check_address(address).map_err(at)?;
            if attach.nodes[..i].contains(address) {
                return Err(at(format!("two nodes have the address {address}")));
            }
        }
        for (key, words) in attach.commands() {
            check_command(words, &["system", "attach", key])?;
        }
        for (key, undo) in [("kill", "restart"), ("restart", "kill"), ("pause", "resume"), ("resume", "pause")] {
            let has = |key: &str| attach.commands().iter().any(|(known, words)| *known == key && !words.list().is_empty());
            if has(key) && !has(undo) {
                return Err(here(key, format!("`{key}` alone is not enough: a fault also needs `{undo}`")));
            }
        }
        if attach.within.is_some_and(|within| within.0 < Duration::from_millis(1) || within.0 > MAX_COMMAND_TIMEOUT) {
            return Err(here("within", format!("within is not between 1ms and {}s", MAX_COMMAND_TIMEOUT.as_secs())));
        }
        let ports = [CLIENT.to_owned()];
        match &attach.ready {
            Some(Ready::Tcp(port)) if port != CLIENT => Err(here("ready", format!("there is no port `{port}`, only `{CLIENT}`"))),
            Some(Ready::Http(url)) if !url.starts_with("http://") => Err(here("ready", format!("`{url}` does not begin with http://"))),
            Some(Ready::Http(url)) => {
                check_text(url, &["system", "attach", "ready", "http"], &ports)?;
                check_no_data(url, &["system", "attach", "ready", "http"])
            }
            Some(Ready::Command(words)) if words.is_empty() => Err(here("ready", "the command is empty".into())),
            Some(Ready::Command(words)) => check_command(&Words::List(words.clone()), &["system", "attach", "ready", "command"]),
            Some(Ready::Log(_)) => {
                Err(here("ready", "heckle does not see the log of a node that it did not start: use tcp, http or command".into()))
            }
            Some(Ready::Tcp(_)) | None => Ok(()),
        }
    }
}

/// Checks the form of an address. Whether its host exists is only known when the run begins.
fn check_address(address: &str) -> Result<(), String> {
    let parts = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    match parts {
        Some((host, port)) if !host.is_empty() && port > 0 && !host.contains(char::is_whitespace) => Ok(()),
        _ => Err(format!("`{address}` is no address: write HOST:PORT, such as 10.0.0.1:5432")),
    }
}

fn check_command(words: &Words, steps: &[&str]) -> Result<(), At> {
    let words = words.list();
    check_words(&words, steps, &[CLIENT.to_owned()])?;
    words.iter().try_for_each(|word| check_no_data(word, steps))
}
