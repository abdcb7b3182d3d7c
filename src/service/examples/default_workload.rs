//! Draws the workload that is shipped and prints it:
//! `cargo run --example default_workload > src/service/workloads/default.csv`
//!
//! 2,400 requests over 14 days, from one seed. They come at even chance at any time. Sizes are
//! powers of two from 1 to 16 cores, the smaller the likelier, with 2, 4 or 8 units of memory (GiB)
//! for each core. One in fifty never ends; of the others most live for hours and some for days.

use std::fmt::Write;

const ROWS: u32 = 2400;
const DAYS: f64 = 14.0;
const SEED: u64 = 2016;

/// The file.
pub(crate) fn draw() -> String {
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut starts: Vec<f64> = (0..ROWS).map(|_| random.f64() * DAYS).collect();
    starts.sort_by(f64::total_cmp);
    let mut file = "vmId,tenantId,cores,ram,vmTypeId,starttime,endtime\n".to_owned();
    for (id, start) in (1..).zip(starts) {
        let tenant = random.u32(1..=200);
        let cores = 1 << random.u32(0..5).min(random.u32(0..5));
        let ram = cores * (2 << random.u32(0..3));
        let end = match random.u32(0..50) {
            0 => "inf".to_owned(),
            1..=9 => format!("{:.6}", start + 2.0 * lifetime(&mut random)),
            _ => format!("{:.6}", start + 0.25 * lifetime(&mut random)),
        };
        writeln!(file, "{id},{tenant},{cores},{ram},0,{start:.6},{end}").expect("a string grows");
    }
    file
}

/// Exponential, with a mean of 1.
fn lifetime(random: &mut fastrand::Rng) -> f64 {
    -(1.0 - random.f64()).ln()
}

#[cfg_attr(test, expect(dead_code, reason = "tests only draw"))]
fn main() {
    print!("{}", draw());
}
