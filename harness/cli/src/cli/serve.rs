//! A page of all runs: `serve`.

use super::OutArg;
use clap::Args;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// `heckle serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub listen: Listen,
    /// Let other machines read all runs, without a password or encryption: needed for any address but loopback, and for requests
    /// that a proxy passes on under another name
    #[arg(long)]
    pub public: bool,
    /// The folder of all runs
    #[command(flatten)]
    pub out: OutArg,
    /// Print only the address
    #[arg(long)]
    pub quiet: bool,
}

/// An address to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen(pub SocketAddr);

impl FromStr for Listen {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let local = |port: &str| Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse::<u16>().ok()?)));
        let address = s.parse().ok().or_else(|| s.strip_prefix("localhost:").and_then(local));
        address.map(Listen).ok_or_else(|| format!("`{s}` is not an address and a port, such as 127.0.0.1:0 or [::1]:8080"))
    }
}
