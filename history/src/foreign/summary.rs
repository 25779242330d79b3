//! Summarises how a file was interpreted, so that a user can notice a misreading.

use super::keys::KeySource;

/// Where the order of the events came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OrderSource {
    /// From the lines; there are no times.
    #[default]
    Lines,
    /// From the lines; only some of them have times.
    SomeTimes,
    /// From the lines; their times agree.
    Times,
    /// From the lines, although some times go backwards.
    TimesGoBack {
        /// The first line whose time goes backwards.
        line: u64,
        /// Number of such lines.
        lines: u64,
    },
    /// From the start and end times of the ops, regardless of the order of the rows.
    Columns,
}

impl OrderSource {
    /// Returns a description for the user.
    pub fn words(self) -> &'static str {
        match self {
            OrderSource::Lines => "in the order of the lines, which have no times",
            OrderSource::SomeTimes | OrderSource::TimesGoBack { .. } => "in the order of the lines, not of their times",
            OrderSource::Times => "in the order of the lines",
            OrderSource::Columns => "in the order of the columns `invoked` and `completed`",
        }
    }
}

/// How a file was interpreted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Number of lines, or rows, of clients.
    pub events: u64,
    /// Number of lines of the nemesis, which contain no answers.
    pub nemesis: u64,
    /// Number of lines of a log that come from other loggers.
    pub other_lines: u64,
    /// Number of lines and ops skipped because of `--lenient`.
    pub passed: u64,
    /// The first skipped line, with the reason.
    pub first_passed: Option<(u64, String)>,
    /// The source of the keys.
    pub keys: KeySource,
    /// The source of the order.
    pub order: OrderSource,
}

impl Summary {
    /// Counts a skipped line or op.
    pub fn skip(&mut self, line: u64, why: impl Into<String>) {
        self.passed += 1;
        self.first_passed.get_or_insert_with(|| (line, why.into()));
    }

    /// Returns caveats that apply to a verdict.
    pub fn warnings(&self) -> Vec<String> {
        let mut all = vec![];
        match self.order {
            OrderSource::SomeTimes => all.push("not every event has a time; the order of the lines counts".to_owned()),
            OrderSource::TimesGoBack { line, lines } => {
                all.push(format!("times go back on {lines} lines, first on line {line}; the order of the lines counts"));
            }
            OrderSource::Lines | OrderSource::Times | OrderSource::Columns => {}
        }
        if let Some((line, why)) = &self.first_passed {
            all.push(format!("{} lines were passed over (--lenient), first line {line}: {why}", self.passed));
        }
        all
    }
}
