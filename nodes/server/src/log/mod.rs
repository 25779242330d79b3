//! Structured log: one event per line, `wall=<s> mono_ns=<ns> level=<l> node=<n> event=<e> key=value ...`.
//!
//! The monotonic time comes from the raw clock shared with the harness, so that a log can be compared with a history.

use std::fmt::{Display, Write as _};
use std::sync::{Arc, Mutex};

mod writer;

use self::writer::LogWriter;
use crate::clock;

/// Severity of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Warn,
    Error,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }
}

/// Maximum number of lines kept in memory for a node inside another program. The oldest are dropped first.
const MAX_MEMORY_LINES: usize = 10_000;

/// Writes the log of one node.
#[derive(Debug, Clone)]
pub(crate) struct Logger {
    node: Arc<str>,
    sink: Sink,
}

#[derive(Debug, Clone)]
enum Sink {
    Writer(Arc<LogWriter>),
    Memory(Arc<Mutex<Vec<String>>>),
}

impl Logger {
    /// Logs to standard error, which the harness redirects.
    pub(crate) fn to_stderr(node: impl Display) -> Logger {
        Logger { node: node.to_string().into(), sink: Sink::Writer(LogWriter::start(std::io::stderr())) }
    }

    /// Logs to memory, for a node that shares its process.
    pub(crate) fn to_memory(node: impl Display) -> Logger {
        Logger { node: node.to_string().into(), sink: Sink::Memory(Arc::default()) }
    }

    pub(crate) fn info(&self, event: &str, fields: &[(&str, &dyn Display)]) {
        self.write(Level::Info, event, fields);
    }

    pub(crate) fn warn(&self, event: &str, fields: &[(&str, &dyn Display)]) {
        self.write(Level::Warn, event, fields);
    }

    pub(crate) fn error(&self, event: &str, fields: &[(&str, &dyn Display)]) {
        self.write(Level::Error, event, fields);
    }

    /// The lines kept in memory. Empty if the log goes to standard error.
    pub(crate) fn lines(&self) -> Vec<String> {
        match &self.sink {
            Sink::Writer(_) => Vec::new(),
            Sink::Memory(lines) => lines.lock().expect("logging does not panic").clone(),
        }
    }

    /// Number of lines dropped because standard error was not read.
    pub(crate) fn dropped(&self) -> u64 {
        match &self.sink {
            Sink::Writer(writer) => writer.dropped(),
            Sink::Memory(_) => 0,
        }
    }

    /// Waits briefly until all lines are written. Called before the process ends.
    pub(crate) fn flush(&self) {
        if let Sink::Writer(writer) = &self.sink {
            writer.flush();
        }
    }

    fn write(&self, level: Level, event: &str, fields: &[(&str, &dyn Display)]) {
        let line = self.line(level, event, fields);
        match &self.sink {
            Sink::Writer(writer) => writer.push(line, |dropped| self.line(Level::Warn, "log_lines_dropped", &[("count", &dropped)])),
            Sink::Memory(lines) => {
                let mut lines = lines.lock().expect("logging does not panic");
                if lines.len() == MAX_MEMORY_LINES {
                    lines.remove(0);
                }
                lines.push(line);
            }
        }
    }

    fn line(&self, level: Level, event: &str, fields: &[(&str, &dyn Display)]) -> String {
        let (wall, mono) = (clock::raw_wall_us(), clock::raw_mono_ns());
        let mut line = format!(
            "wall={}.{:06} mono_ns={mono} level={} node={} event={event}",
            wall / 1_000_000,
            wall % 1_000_000,
            level.as_str(),
            self.node
        );
        for (key, value) in fields {
            let value = value.to_string();
            let plain = !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'=');
            // Writing to a string cannot fail.
            let _ = if plain { write!(line, " {key}={value}") } else { write!(line, " {key}={value:?}") };
        }
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newlines_in_values_are_escaped() {
        let log = Logger::to_memory("n1");
        log.warn("odd", &[("plain", &7), ("text", &"two words\nand \"more\""), ("empty", &"")]);
        let lines = log.lines();
        let (line, count) = (&lines[0], lines.len());
        assert_eq!((count, line.matches('\n').count()), (1, 1));
        let expected = "level=warn node=n1 event=odd plain=7 text=\"two words\\nand \\\"more\\\"\" empty=\"\"\n";
        assert!(line.ends_with(expected), "{line}");
    }

    #[test]
    fn memory_log_is_bounded() {
        let log = Logger::to_memory("n1");
        for i in 0..MAX_MEMORY_LINES + 5 {
            log.info("tick", &[("i", &i)]);
        }
        assert_eq!(log.lines().len(), MAX_MEMORY_LINES);
        assert!(log.lines()[0].ends_with("i=5\n"));
    }
}
