//! A system of one's own: `init`, `driver`.

use clap::{Args, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

/// `heckle init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The system's name, and of the folder that is made
    pub name: PathBuf,
}

/// `heckle driver`.
#[derive(Debug, Args)]
pub struct DriverArgs {
    /// What to do with it
    #[command(subcommand)]
    pub what: DriverWhat,
}

/// What is done with a driver.
#[derive(Debug, Subcommand)]
pub enum DriverWhat {
    /// Play scripted cases: nodes that refuse, are silent, or lose acknowledgements
    Check(DriverCheckArgs),
}

/// `heckle driver check`.
#[derive(Debug, Args)]
pub struct DriverCheckArgs {
    /// Client address of a node that works, for the cases that need one
    #[arg(long, value_name = "ADDRESS")]
    pub node: Option<SocketAddr>,
    /// The driver's command
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    pub command: Vec<String>,
}
