//! Schedulers, nodes, and what speaks to them.

use std::process::ExitCode;

/// Messages, and what machines keep of them, are made and dropped all the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    counterfoil_service::cli::main()
}
