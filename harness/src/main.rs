//! The command `heckle`.

fn main() -> std::process::ExitCode {
    heckle::verbs::main()
}
