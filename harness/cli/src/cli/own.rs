//! Verbs for testing a custom system: `init`, `driver`.

use clap::{Args, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

/// `heckle init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Name of the system and of the new folder
    pub name: PathBuf,
}

/// `heckle driver`.
#[derive(Debug, Args)]
pub struct DriverArgs {
    /// The command
    #[command(subcommand)]
    pub what: DriverWhat,
}

/// The commands for a driver.
#[derive(Debug, Subcommand)]
pub enum DriverWhat {
    /// Run scripted cases: nodes that refuse, are silent, or lose acknowledgements
    Check(DriverCheckArgs),
}

/// `heckle driver check`.
#[derive(Debug, Args)]
pub struct DriverCheckArgs {
    /// Client address of a working node, for the cases that need one
    #[arg(long, value_name = "ADDRESS")]
    pub node: Option<SocketAddr>,
    /// The driver's command
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    pub command: Vec<String>,
}
