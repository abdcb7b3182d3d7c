//! The shell around the machines: sockets, clock, disk, signals.
//!
//! [`driver`] is the loop that all roles share. [`node`], [`scheduler`] and [`up`] are what is
//! around a machine of each role; `up` is the client, and starts the others.

pub mod driver;
pub mod link;
pub mod node;
pub mod peers;
pub mod scheduler;
pub mod serve;
pub mod stop;
pub mod store;
pub mod timers;
pub mod udp;
pub mod up;
pub mod wire;
pub mod workload;
