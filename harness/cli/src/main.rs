//! The command `heckle`.

fn main() -> std::process::ExitCode {
    heckle::limits::survive_long_files();
    heckle::output::finish(heckle::verbs::main())
}
