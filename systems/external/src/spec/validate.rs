//! Checks of `[system]` that need no cluster.

use super::{At, Leader, ProcessText, Reads, Ready, Step, SystemText};
use crate::template::{Mistake, Template, check_port};
use std::collections::BTreeSet;

/// Maximum number of processes per node.
const MAX_PROCESSES: usize = 8;
/// Maximum length of a system's name.
const MAX_NAME: usize = 32;
/// Signals that can be used to stop a process.
const SIGNALS: [(&str, i32); 5] =
    [("TERM", libc::SIGTERM), ("INT", libc::SIGINT), ("QUIT", libc::SIGQUIT), ("HUP", libc::SIGHUP), ("KILL", libc::SIGKILL)];

/// The port that clients dial.
pub(crate) const CLIENT: &str = "client";

fn way(steps: &[&str]) -> Vec<Step> {
    steps.iter().map(|step| step.parse().map_or_else(|_| Step::Key((*step).to_owned()), Step::Index)).collect()
}

pub(super) fn fault(steps: &[&str], what: impl Into<String>) -> At {
    At { path: way(steps), byte: None, what: what.into() }
}

impl SystemText {
    /// Returns all ports of a node, in the order of the plan.
    pub(crate) fn ports(&self) -> Vec<String> {
        if self.attach.is_some() {
            return vec![CLIENT.to_owned()];
        }
        self.process.iter().flat_map(|process| process.ports.clone()).collect()
    }

    /// Checks everything that can be checked without a cluster.
    ///
    /// # Errors
    /// Fails if there is a mistake. The first one found is returned.
    pub(crate) fn check(&self) -> Result<(), At> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.name.is_empty() || self.name.len() > MAX_NAME || !self.name.chars().all(fits) {
            let what = format!("name = `{}`: use up to {MAX_NAME} letters, digits, `-`, `_` and `.`", self.name);
            return Err(fault(&["system", "name"], what));
        }
        if self.driver.list().is_empty() {
            return Err(fault(&["system", "driver"], "driver is empty: name the command of the client driver"));
        }
        if self.process.is_empty() && self.attach.is_none() {
            let what = "a system needs a [[system.process]] with `start`, or a [system.attach] with the addresses of its nodes";
            return Err(fault(&["system", "name"], what));
        }
        if self.process.len() > MAX_PROCESSES {
            return Err(fault(&["system", "name"], format!("a node has at most {MAX_PROCESSES} processes")));
        }
        if self.reads == Reads::Primary && self.leader == Leader::Unknown {
            return Err(fault(&["system", "reads"], "reads = \"primary\" needs `leader`, which says which node that is"));
        }
        if let Some(attach) = &self.attach {
            self.check_attach(attach)?;
        }
        let ports = self.check_ports()?;
        if let Leader::Command(words) = &self.leader {
            check_words(words, &["system", "leader"], &ports)?;
            if self.attach.is_some() {
                words.iter().try_for_each(|word| check_no_data(word, &["system", "leader"]))?;
            }
        }
        for (i, process) in self.process.iter().enumerate() {
            self.check_process(process, &i.to_string(), &ports)?;
        }
        Ok(())
    }

    fn check_ports(&self) -> Result<Vec<String>, At> {
        if self.attach.is_some() {
            return Ok(self.ports());
        }
        let mut seen = BTreeSet::new();
        for (i, process) in self.process.iter().enumerate() {
            for (j, port) in process.ports.iter().enumerate() {
                let (i, j) = (i.to_string(), j.to_string());
                let here = |what| fault(&["system", "process", &i, "ports", &j], what);
                check_port(port).map_err(here)?;
                if !seen.insert(port.clone()) {
                    return Err(here(format!("there are two ports `{port}`")));
                }
            }
        }
        if !seen.contains(CLIENT) {
            return Err(fault(
                &["system", "process", "0", "start"],
                "no process has the port `client`, which clients dial: ports = [\"client\"]",
            ));
        }
        Ok(seen.into_iter().collect())
    }

    fn check_process(&self, process: &ProcessText, i: &str, ports: &[String]) -> Result<(), At> {
        let here = |key: &str, what: String| fault(&["system", "process", i, key], what);
        if process.start.is_empty() {
            return Err(here("start", "start is empty: name a program".into()));
        }
        check_words(&process.start, &["system", "process", i, "start"], ports)?;
        let name = process.name.as_deref();
        let plain = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        let same = |other: &&ProcessText| other.name.as_deref() == name;
        match name {
            None if self.process.len() > 1 => return Err(here("start", "of several processes of a node each needs a `name`".into())),
            Some(name) if !plain(name) => {
                return Err(here("name", format!("name = `{name}`: it names a log, so use letters, digits, `-` and `_`")));
            }
            Some(name) if self.process.iter().filter(same).count() > 1 => {
                return Err(here("name", format!("two processes are called `{name}`")));
            }
            _ => {}
        }
        for (path, text) in &process.files {
            check_text(path, &["system", "process", i, "files"], ports)?;
            check_text(text, &["system", "process", i, "files", path], ports)?;
        }
        for (name, value) in &process.env {
            check_text(value, &["system", "process", i, "env", name], ports)?;
        }
        if let Some(stop) = &process.stop {
            signal(stop).map_err(|what| here("stop", what))?;
        }
        for node in &process.nodes {
            let number: Option<u16> = node.strip_prefix('n').and_then(|n| n.parse().ok());
            number.ok_or_else(|| here("nodes", format!("`{node}` is no node; they are n1, n2 …")))?;
        }
        match &process.ready {
            Some(Ready::Tcp(port)) if !ports.contains(port) => {
                Err(here("ready", format!("there is no port `{port}`; available: {}", ports.join(", "))))
            }
            Some(Ready::Http(url)) => {
                if !url.starts_with("http://") {
                    return Err(here("ready", format!("`{url}` does not begin with http://")));
                }
                check_text(url, &["system", "process", i, "ready", "http"], ports)
            }
            Some(Ready::Command(words)) => check_words(words, &["system", "process", i, "ready", "command"], ports),
            Some(Ready::Tcp(_) | Ready::Log(_)) | None => Ok(()),
        }
    }
}

/// Returns the number of a signal, given its name.
///
/// # Errors
/// Fails if the name is not a known signal. The message lists the valid names.
pub(crate) fn signal(name: &str) -> Result<i32, String> {
    let bare = name.strip_prefix("SIG").unwrap_or(name);
    let known: Vec<&str> = SIGNALS.iter().map(|(name, _)| *name).collect();
    let found = SIGNALS.iter().find(|(known, _)| *known == bare).map(|(_, number)| *number);
    found.ok_or_else(|| format!("stop = `{name}`: available: {}", known.join(", ")))
}

pub(super) fn check_words(words: &[String], steps: &[&str], ports: &[String]) -> Result<(), At> {
    words.iter().enumerate().try_for_each(|(i, word)| check_text(word, &[steps, &[&i.to_string()]].concat(), ports))
}

pub(super) fn check_text(text: &str, steps: &[&str], ports: &[String]) -> Result<(), At> {
    let here = |m: Mistake| At { path: way(steps), byte: Some(m.at), what: m.what };
    Template::parse(text, ports).map(drop).map_err(here)
}

/// A node that the harness did not start has no data folder here. Filling in an empty path could do harm: `rm -r {data}/x`.
pub(super) fn check_no_data(text: &str, steps: &[&str]) -> Result<(), At> {
    match Template::parse(text, &[CLIENT.to_owned()]) {
        Ok(template) if template.uses_data() => {
            Err(fault(steps, "there is no {data}: heckle does not know where a node that it did not start keeps its data"))
        }
        _ => Ok(()),
    }
}
