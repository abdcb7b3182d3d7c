//! Workloads: what is asked for, when it comes and when it goes.
//!
//! The form is that of the Azure Trace for Packing 2020 with concrete cores and memory: a CSV file
//! with the columns `vmId,tenantId,cores,ram,vmTypeId,starttime,endtime`. Times are in days and may
//! be negative (before the trace began); `inf` never ends. Units hold up to a constant factor
//! ([`Factors`]).

use counterfoil_protocol::{Demand, ResourceClass};
use csv::{ReaderBuilder, StringRecord};
use std::io::Read;

/// The workload that is shipped: synthetic, drawn by the example `default_workload`.
pub const DEFAULT: &str = include_str!("../workloads/default.csv");

/// The columns, in order.
pub const COLUMNS: [&str; 7] =
    ["vmId", "tenantId", "cores", "ram", "vmTypeId", "starttime", "endtime"];

/// How many units of a resource class one unit of the file is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Factors {
    /// `VCPU` for each unit of `cores`.
    pub cpu: f64,
    /// `MEMORY_MB` for each unit of `ram`.
    pub memory: f64,
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What is asked for.
    pub demand: Demand,
    /// When it comes, in days.
    pub start: f64,
    /// When it goes, in days; not before it comes.
    pub end: f64,
}

/// Why a workload cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
pub struct WorkloadError {
    /// The line, from 1.
    pub line: u64,
    /// The name of the column.
    pub column: String,
    /// What is wrong there.
    pub reason: String,
}

/// Reads all rows, in the order of the file. Amounts are rounded up to whole units.
///
/// # Errors
/// At the first row that has no meaning.
pub fn read(file: impl Read, factors: Factors) -> Result<Vec<Row>, WorkloadError> {
    let mut lines = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(file);
    let mut records = lines.records();
    let header = match records.next() {
        Some(record) => record.map_err(|error| unreadable(&error))?,
        None => StringRecord::new(),
    };
    for (index, column) in COLUMNS.into_iter().enumerate() {
        if header.get(index) != Some(column) {
            let found = header.get(index).unwrap_or_default();
            return Err(fault(1, column, format!("the header names {found:?} here")));
        }
    }
    records
        .map(|record| {
            let record = record.map_err(|error| unreadable(&error))?;
            let line = record.position().map_or(0, csv::Position::line);
            row(&Fields { record: &record, line }, factors)
        })
        .collect()
}

/// The fields of one line.
struct Fields<'a> {
    record: &'a StringRecord,
    line: u64,
}

impl Fields<'_> {
    fn number(&self, column: usize) -> Result<f64, WorkloadError> {
        let text = self.record.get(column).unwrap_or_default();
        match text.trim().parse::<f64>() {
            Ok(number) if !number.is_nan() => Ok(number),
            Ok(_) | Err(_) => Err(self.fault(column, format!("{text:?} is not a number"))),
        }
    }

    /// An amount in the units of the file, in whole units of a resource class.
    fn amount(&self, column: usize, factor: f64) -> Result<u64, WorkloadError> {
        let number = self.number(column)?;
        let amount = (number * factor).ceil();
        // Up to 2^53 every whole number is exact.
        if number > 0.0 && (1.0..=9_007_199_254_740_992.0).contains(&amount) {
            Ok(amount as u64)
        } else {
            Err(self.fault(column, format!("{number} is no amount above 0 and below 2^53")))
        }
    }

    fn fault(&self, column: usize, reason: String) -> WorkloadError {
        fault(self.line, COLUMNS[column], reason)
    }
}

fn row(fields: &Fields<'_>, factors: Factors) -> Result<Row, WorkloadError> {
    let found = fields.record.len();
    if found != COLUMNS.len() {
        let column = COLUMNS.get(found).copied().unwrap_or("(beyond the last)");
        let reason = format!("there are {found} fields; {} are needed", COLUMNS.len());
        return Err(fault(fields.line, column, reason));
    }
    for column in [0, 1, 4] {
        fields.number(column)?;
    }
    let vcpu = fields.amount(2, factors.cpu)?;
    let memory = fields.amount(3, factors.memory)?;
    let (start, end) = (fields.number(5)?, fields.number(6)?);
    if !start.is_finite() {
        return Err(fields.fault(5, format!("{start} is no time to start")));
    }
    if end < start {
        return Err(fields.fault(6, format!("{end} is before the start, {start}")));
    }
    let amounts = [(ResourceClass::Vcpu, vcpu), (ResourceClass::MemoryMb, memory)];
    let demand = Demand { resources: amounts.into_iter().collect(), ..Demand::default() };
    Ok(Row { demand, start, end })
}

fn fault(line: u64, column: &str, reason: String) -> WorkloadError {
    WorkloadError { line, column: column.to_owned(), reason }
}

fn unreadable(error: &csv::Error) -> WorkloadError {
    let line = error.position().map_or(1, csv::Position::line);
    fault(line, "(all)", error.to_string())
}

#[cfg(test)]
#[path = "../examples/default_workload.rs"]
mod default_workload;

#[cfg(test)]
mod tests {
    use super::*;

    const UNITS: Factors = Factors { cpu: 1.0, memory: 1024.0 };
    const HEADER: &str = "vmId,tenantId,cores,ram,vmTypeId,starttime,endtime\n";

    fn parse(rows: &str) -> Result<Vec<Row>, WorkloadError> {
        read(format!("{HEADER}{rows}").as_bytes(), UNITS)
    }

    #[test]
    fn amounts_are_taken_times_the_factors_and_rounded_up() {
        let factors = Factors { cpu: 0.01, memory: 128.0 };
        let file = format!("{HEADER}1,2,42.0,7.0,0,-1497.0,inf\n3,4,200,0.001,1,0.5,0.5\n");
        let rows = read(file.as_bytes(), factors).unwrap();
        let amounts = |row: &Row| {
            let resources = &row.demand.resources;
            (resources.get(&ResourceClass::Vcpu), resources.get(&ResourceClass::MemoryMb))
        };
        assert_eq!(rows.iter().map(amounts).collect::<Vec<_>>(), [(1, 896), (2, 1)]);
        assert_eq!((rows[0].start, rows[0].end), (-1497.0, f64::INFINITY));
        assert_eq!((rows[1].start, rows[1].end), (0.5, 0.5));
    }

    #[test]
    fn a_row_without_meaning_is_named_by_line_column_and_reason() {
        let good = "1,1,2,4,0,0.0,1.0\n";
        let cases = [
            ("1,1,two,4,0,0,1\n", "cores", "\"two\" is not a number"),
            ("1,1,NaN,4,0,0,1\n", "cores", "\"NaN\" is not a number"),
            ("1,1,0,4,0,0,1\n", "cores", "0 is no amount above 0 and below 2^53"),
            ("1,1,2,-4,0,0,1\n", "ram", "-4 is no amount above 0 and below 2^53"),
            ("1,1,2,inf,0,0,1\n", "ram", "inf is no amount above 0 and below 2^53"),
            ("1,1,2,4,0,2,1\n", "endtime", "1 is before the start, 2"),
            ("1,1,2,4,0,inf,inf\n", "starttime", "inf is no time to start"),
            ("1,1,2,4,0,,1\n", "starttime", "\"\" is not a number"),
            ("x,1,2,4,0,0,1\n", "vmId", "\"x\" is not a number"),
            ("1,1,2,4\n", "vmTypeId", "there are 4 fields; 7 are needed"),
            ("1,1,2,4,0,0,1,9\n", "(beyond the last)", "there are 8 fields; 7 are needed"),
        ];
        for (bad, column, reason) in cases {
            let error = parse(&format!("{good}{bad}{good}")).unwrap_err();
            let expected = (3, column, reason);
            assert_eq!((error.line, error.column.as_str(), error.reason.as_str()), expected);
        }
    }

    #[test]
    fn a_file_without_the_columns_is_refused() {
        let header = |file: &str| read(file.as_bytes(), UNITS).unwrap_err();
        assert_eq!(header("").line, 1);
        assert_eq!(header("vmId,tenantId,ram\n").column, "cores");
        assert_eq!(read([0xff, 0xfe, b'\n'].as_slice(), UNITS).unwrap_err().line, 1);
    }

    #[test]
    fn the_default_is_what_its_example_draws() {
        assert!(DEFAULT == default_workload::draw(), "run: cargo run --example default_workload");
    }

    #[test]
    fn the_default_has_rows_enough_of_mixed_sizes_in_order_of_their_start() {
        let rows = read(DEFAULT.as_bytes(), UNITS).unwrap();
        assert!(rows.len() >= 2000);
        assert!(rows.is_sorted_by(|a, b| a.start <= b.start));
        let sizes: std::collections::BTreeSet<_> = rows.iter().map(|row| &row.demand).collect();
        assert!(sizes.len() >= 10);
    }
}
