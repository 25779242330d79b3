//! The command `heckle`.

fn main() -> std::process::ExitCode {
    heckle::output::finish(heckle::verbs::main())
}
