//! This test program, started again as the program of a node: it dials, and forwards bytes in both directions.

use super::*;
use std::process::{Child, ChildStdin, Command, Stdio};

/// The address to dial. Without this variable, the test below does nothing.
const DIAL: &str = "RAW_RELAY_DIAL";
/// How the program is started.
const STEPS: &str = "RAW_RELAY_STEPS";

/// The processes between the started process and the dialling one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Between {
    /// None.
    Nothing,
    /// A parent that waits. The dialler has a cleared environment.
    Parent,
    /// A parent that exits before the child dials from its own process group: a daemon.
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
        // Received bytes go to standard error, because the test harness prints to standard output.
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
        // The program and its daemon end when their input ends.
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
    // The daemon's parent may still exist.
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
