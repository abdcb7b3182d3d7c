//! The shell around the machines: sockets, clock, disk, signals.
//!
//! [`driver`] is the loop that all roles share. [`node`], [`scheduler`] and [`up`] are what is
//! around a machine of each role; `up` is the client, and starts the others.

pub mod api;
pub mod book;
pub mod cli;
pub mod driver;
pub mod key;
pub mod meters;
pub mod monitor;
pub mod node;
pub mod packet;
pub mod post;
pub mod remote;
pub mod scheduler;
pub mod serve;
pub mod settings;
pub mod stop;
pub mod store;
pub mod timers;
pub mod up;
pub mod wire;
pub mod workload;
