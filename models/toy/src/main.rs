//! Explores the toy, with stateright or with our own explorer, and prints counts and seconds.
//!
//! Exit codes: 0 the property holds · 1 it is violated · 2 usage.

use clap::{Args, Parser, Subcommand, ValueEnum};
use counterfoil_toy::{Bounds, Toy, explore};
use stateright::{Checker, Model};
use std::process::ExitCode;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A toy of the protocol, to compare the speed of checkers.
#[derive(Parser)]
#[command(name = "toy", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Explores every state.
    Check {
        #[command(flatten)]
        size: Sized,
        /// Which explorer, and in which order.
        #[arg(long, value_enum, default_value_t = Engine::Dfs)]
        engine: Engine,
        /// How many threads stateright uses; our own explorer has one.
        #[arg(long, default_value_t = 1)]
        threads: usize,
        /// Nodes grant whatever they are asked: the property is then violated.
        #[arg(long)]
        unjudged: bool,
    },
    /// Prints the bounds as macros for Spin.
    Bounds {
        #[command(flatten)]
        size: Sized,
    },
}

#[derive(Args)]
struct Sized {
    /// About ten thousand, a million, or ten million states.
    #[arg(long, value_enum, default_value_t = Size::Middle)]
    size: Size,
}

#[derive(Clone, Copy, ValueEnum)]
enum Size {
    Small,
    Middle,
    Large,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Engine {
    /// stateright, depth first.
    Dfs,
    /// stateright, breadth first.
    Bfs,
    /// Our own: a table of fingerprints and a stack.
    Own,
}

impl Size {
    fn bounds(self) -> Bounds {
        match self {
            Size::Small => Bounds::SMALL,
            Size::Middle => Bounds::MIDDLE,
            Size::Large => Bounds::LARGE,
        }
    }
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Check { size, engine, threads, unjudged } => {
            check(Toy::new(size.size.bounds(), !unjudged), engine, threads)
        }
        Command::Bounds { size } => {
            let Bounds { claims, capacity, losses, copies, timers } = size.size.bounds();
            println!(
                "-DCLAIMS={claims} -DCAPACITY={capacity} -DLOSSES={losses} -DCOPIES={copies} \
                 -DTIMERS={timers}"
            );
            ExitCode::SUCCESS
        }
    }
}

fn check(toy: Toy, engine: Engine, threads: usize) -> ExitCode {
    let start = Instant::now();
    let counts = match engine {
        Engine::Own => explore::explore(&toy).ok().map(|c| (c.distinct, c.generated)),
        Engine::Dfs => counts(&toy.checker().threads(threads).spawn_dfs().join()),
        Engine::Bfs => counts(&toy.checker().threads(threads).spawn_bfs().join()),
    };
    let seconds = start.elapsed().as_secs_f64();
    match counts {
        Some((distinct, generated)) => {
            println!("distinct={distinct} transitions={generated} seconds={seconds:.3}");
            ExitCode::SUCCESS
        }
        None => {
            println!("no_overcommit is violated");
            ExitCode::FAILURE
        }
    }
}

fn counts(checker: &impl Checker<Toy>) -> Option<(u64, u64)> {
    checker
        .discoveries()
        .is_empty()
        .then(|| (checker.unique_state_count() as u64, checker.state_count() as u64))
}
