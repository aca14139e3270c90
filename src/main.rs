//! The `runbook` command.

fn main() -> std::process::ExitCode {
    runbook::main_impl()
}
