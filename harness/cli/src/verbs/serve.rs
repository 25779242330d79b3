//! `heckle serve`: serves the folder of all runs to browsers until Ctrl-C.

use crate::cli::ServeArgs;
use crate::serve::{Options, Server};
use crate::{exit, stop};
use heckle_history::printable::printable;
use std::process::ExitCode;

/// Runs the verb.
pub(super) fn main(args: &ServeArgs) -> ExitCode {
    let listen = args.listen.0;
    if !listen.ip().is_loopback() && !args.public {
        let why = format!(
            "{listen} can be reached from other machines, and anyone who reaches it can read all runs: add --public if that is intended, or listen on 127.0.0.1"
        );
        return super::usage("serve", &why);
    }
    let out = &args.out.out;
    if out.exists() && !out.is_dir() {
        return super::usage("serve", &format!("{} is not a folder; --out names the folder of all runs", out.display()));
    }
    stop::catch_interrupts();
    let bound =
        Server::bind(listen, Options { out: out.clone(), any_host: args.public }).and_then(|server| Ok((server.address()?, server)));
    let (address, server) = match bound {
        Ok(bound) => bound,
        Err(e) => {
            return super::broken("serve", &format!("cannot listen on {listen}: {e}; name another with --listen, such as 127.0.0.1:0"));
        }
    };
    outln!("http://{address}/");
    if !args.quiet {
        errln!("{} is shown there, read-only; Ctrl-C ends it", printable(&out.display().to_string()));
        if !out.exists() {
            errln!("there is no such folder yet: the page is empty until a run makes it");
        }
    }
    match server.run(|| stop::interrupts() > 0) {
        // Ctrl-C is the normal end of a server, not an interruption.
        Ok(()) => ExitCode::from(exit::OK),
        Err(e) => super::broken("serve", &e.to_string()),
    }
}
