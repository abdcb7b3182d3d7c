//! Schedulers, nodes, and what speaks to them.

use std::process::ExitCode;

fn main() -> ExitCode {
    counterfoil_service::cli::main()
}
