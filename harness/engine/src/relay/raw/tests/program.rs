//! This test program, started again as the program of a node: it dials, and passes on what it reads from either side.

use super::*;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Where it dials. Without it the test below does nothing.
const DIAL: &str = "RAW_RELAY_DIAL";
/// How it gets there.
const STEPS: &str = "RAW_RELAY_STEPS";

/// What stands between the process that is started and the one that dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Between {
    /// Nothing.
    Nothing,
    /// A parent that waits; the dialler has none of its environment.
    Parent,
    /// A parent that is gone before it dials, and a group of its own: a daemon.
    GoneParent,
}

pub(super) struct Program {
    pub(super) child: Child,
    input: Option<ChildStdin>,
    output: Receiver<Vec<u8>>,
}

impl Program {
    pub(super) fn start(address: SocketAddr, environment: &[(String, String)], between: Between) -> Program {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", "relay::raw::tests::program::runs_when_it_is_asked_to"]);
        command.env(DIAL, address.to_string()).env(STEPS, format!("{between:?}"));
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        // What it hears goes to its standard error, since a test program greets on its standard output.
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let (input, mut heard) = (child.stdin.take(), child.stderr.take().expect("piped"));
        let (send, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = heard.read(&mut buffer) {
                let _ = send.send(buffer[..n].to_vec());
            }
        });
        Program { child, input, output }
    }

    #[track_caller]
    pub(super) fn say(&mut self, bytes: &[u8]) {
        self.input.as_mut().expect("open").write_all(bytes).expect("it reads");
    }

    #[track_caller]
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        let (mut got, start) = (vec![], Instant::now());
        while got.len() < bytes.len() && start.elapsed() < PATIENCE {
            got.extend(self.output.recv_timeout(PATIENCE).unwrap_or_default());
        }
        assert!(got == bytes, "`{}` came", got.escape_ascii());
    }

    #[track_caller]
    pub(super) fn hear_nothing(&mut self) {
        let got = self.output.recv_timeout(SILENCE).unwrap_or_default();
        assert!(got.is_empty(), "`{}` came", got.escape_ascii());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It ends with its input, as a daemon of it does.
        drop(self.input.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn runs_when_it_is_asked_to() {
    let Ok(address) = std::env::var(DIAL) else { return };
    let next = |clear: bool| {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(std::env::args().skip(1));
        if clear {
            command.env_clear().env(DIAL, &address);
        }
        command.env(STEPS, "Nothing").spawn().expect("it starts")
    };
    match std::env::var(STEPS).as_deref() {
        Ok("Parent") => drop(next(true).wait()),
        Ok("GoneParent") => {
            use std::os::unix::process::CommandExt;
            let mut command = Command::new(std::env::current_exe().expect("this program"));
            command.args(std::env::args().skip(1)).env(STEPS, "Nothing").process_group(0).spawn().expect("it starts");
            std::process::exit(0);
        }
        _ => pass_on(&address),
    }
}

fn pass_on(address: &str) -> ! {
    // The parent of a daemon may still be there.
    std::thread::sleep(Duration::from_millis(50));
    let stream = TcpStream::connect(address).expect("the relay listens");
    let mut back = stream.try_clone().expect("a descriptor");
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut back, &mut std::io::stderr());
        std::process::exit(0);
    });
    let _ = std::io::copy(&mut std::io::stdin(), &mut &stream);
    std::process::exit(0);
}
