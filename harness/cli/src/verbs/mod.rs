//! The verbs, one file each. Code that two verbs share is here or in `run`.

mod bench;
mod capacity;
mod check;
mod check_foreign;
mod clean;
mod compare;
mod completions;
mod ctl;
mod demo;
mod diff;
mod doctor;
mod driver;
mod explain;
mod export;
mod gc;
mod init;
mod list;
pub mod mutants;
mod node;
mod report;
mod rerun;
mod run;
mod serve;
mod show;
mod suite;
mod sweep;
mod trend;
mod verdict;

use crate::cli::{Cli, OutputArgs, Verb};
use crate::exit;
use crate::systems::{self, Systems};
use clap::Parser;
use heckle_history::printable::{block, printable};
use heckle_results::RunFolder;
use heckle_results::results_json::Results;
use heckle_results::summary::{self, View};
use heckle_results::terminal::Colour;
use heckle_results::terminal_report::Width;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

/// Runs the command line of this process with a custom list of systems under test. A program whose `main` calls this function is a
/// heckle for those systems.
///
/// heckle runs itself as a child process for some of its work, so such a program must pass on every command line that is not its
/// own to this function.
pub fn main_with(systems: Systems) -> ExitCode {
    systems::install(systems);
    crate::limits::survive_long_files();
    crate::output::finish(main())
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version exit with 0. Anything else is a usage error, for which clap's own exit code would be 2.
            if e.use_stderr() {
                // The message repeats parts of the command line, such as a file name.
                e.render().to_string().lines().for_each(|line| errln!("{}", printable(line)));
                return ExitCode::from(exit::USAGE);
            }
            out!("{}", e.render());
            return ExitCode::from(exit::OK);
        }
    };
    match cli.verb {
        Verb::Demo(args) => demo::main(&args),
        Verb::Doctor(args) => doctor::main(&args),
        Verb::Run(args) => run::main(&args),
        Verb::Check(args) => check::main(&args),
        Verb::Explain(args) => explain::main(&args),
        Verb::Show(args) => show::show(&args),
        Verb::List(args) => list::main(&args),
        Verb::Serve(args) => serve::main(&args),
        Verb::Diff(args) => diff::main(&args),
        Verb::Completions(args) => completions::main(&args),
        Verb::Rerun(args) => rerun::main(&args),
        Verb::Suite(args) => suite::main(&args),
        Verb::Trend(args) => trend::main(&args),
        Verb::Gc(args) => gc::main(&args),
        Verb::Compare(args) => compare::main(&args),
        Verb::Sweep(args) => sweep::main(&args),
        Verb::Export(args) => export::main(&args),
        Verb::Report(args) => report::main(&args),
        Verb::Bench(args) => bench::main(&args),
        Verb::Capacity(args) => capacity::main(&args),
        Verb::Mutants(args) => mutants::main(&args),
        Verb::Clean(args) => clean::main(&args),
        Verb::Init(args) => init::main(&args),
        Verb::Driver(args) => driver::main(&args),
        Verb::Node(args) => node::main(&args),
        Verb::Ctl(args) => ctl::main(&args),
        Verb::NullNode { listen } => match crate::bench::load::null::serve(listen) {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => broken("null-node", &e),
        },
        Verb::SyncChild { file } => match crate::bench::etcd::sync_child(&file) {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => broken("sync-child", &e.to_string()),
        },
        Verb::StoreChild { store, folder, per_batch, batches } => {
            match crate::bench::store::store_child(&store, &folder, per_batch, batches) {
                Ok(()) => ExitCode::SUCCESS,
                Err(e) => broken("store-child", &e),
            }
        }
        Verb::SearchChild => match crate::search::child() {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => broken("search-child", &e.to_string()),
        },
    }
}

/// Reports a mistake in the user's input.
fn usage(verb: &str, what: &str) -> ExitCode {
    errln!("heckle {verb}: {}", block(what));
    ExitCode::from(exit::USAGE)
}

/// Reports a failure of the harness or the machine.
fn broken(verb: &str, what: &str) -> ExitCode {
    errln!("heckle {verb}: {}", block(what));
    ExitCode::from(exit::BROKEN)
}

/// Prints the results of a run and returns its exit code.
fn print_results(folder: &RunFolder, results: &Results, output: &OutputArgs) -> ExitCode {
    if output.json {
        outln!("{}", results.to_json());
    } else {
        out!("{}", summary_of(folder, results));
    }
    ExitCode::from(crate::run::pipeline::exit_code(results))
}

/// Returns the summary of a run, formatted for this stdout.
fn summary_of(folder: &RunFolder, results: &Results) -> String {
    let shown = relative_to_here(folder.root()).display().to_string();
    summary::text(results, View { folder: &shown, width: width(), colour: colour() })
}

/// Returns a path relative to the current folder, as a user would type it.
fn relative_to_here(path: &Path) -> &Path {
    let here = std::env::current_dir().and_then(|here| here.canonicalize()).unwrap_or_default();
    path.strip_prefix(&here).ok().filter(|rest| !rest.as_os_str().is_empty()).unwrap_or(path)
}

/// Returns the width of the terminal, in columns.
fn width() -> usize {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: `size` is a valid buffer for the result.
    let failed = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    if failed == 0 && size.ws_col > 0 { usize::from(size.ws_col) } else { 100 }
}

/// Returns the line width for output on this stdout.
fn line_width() -> Width {
    Width { letters: width(), colour: colour() }
}

/// Whether to use colour: only on a terminal, and not if `NO_COLOR` is set.
fn colour() -> Colour {
    let wanted = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    if wanted { Colour::Ansi } else { Colour::Never }
}
