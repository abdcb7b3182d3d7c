use super::*;
use crate::meters::Drop;
use counterfoil_properties::Safety;
use counterfoil_protocol::{Notice, Placement};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A family, as it reads from the text.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
    samples: BTreeMap<String, f64>,
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// Reads the text as strictly as the format is written.
fn read(text: &str) -> BTreeMap<String, Family> {
    assert!(text.ends_with('\n'));
    let mut families = BTreeMap::<String, Family>::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(is_name(name), "{line}");
            current = name.to_owned();
            let family = Family { help: help.to_owned(), ..Family::default() };
            assert!(families.insert(current.clone(), family).is_none(), "{name} comes twice");
            continue;
        }
        let family = families.get_mut(&current).expect("HELP comes first");
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!((name, family.kind.as_str()), (current.as_str(), ""));
            family.kind = kind.to_owned();
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let suffixes: &[&str] =
            if family.kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        let suffix = name.strip_prefix(current.as_str()).expect("it is of its family");
        assert!(suffixes.contains(&suffix), "{line}");
        for label in labels.strip_suffix('}').unwrap().split_terminator(',') {
            let (label, value) = label.split_once('=').unwrap();
            assert!(is_name(label) && value.starts_with('"') && value.ends_with('"'), "{line}");
            family.labels.insert(label.to_owned());
        }
        let series = format!("{suffix}{}", &series[name.len()..]);
        assert!(family.samples.insert(series, value.parse().unwrap()).is_none(), "{line}");
    }
    families
}

#[test]
fn what_was_counted_is_what_reads() {
    let meters = Meters::default();
    meters.packet(Direction::In, 100);
    meters.packet(Direction::In, 23);
    meters.dropped(Drop::Stranger);
    meters.noticed(Notice::ClaimGranted);
    meters.answered(&Placement::Exhausted);
    meters.violated(Safety::NoOvercommit);
    meters.set(Gauge::NodesSuspected, 7);
    meters.recorded(9);
    let families = read(&render(&meters));
    let value = |family: &str, series: &str| families[family].samples[series];
    assert_eq!(value("counterfoil_packets_total", "{direction=\"in\"}"), 2.0);
    assert_eq!(value("counterfoil_packet_bytes_total", "{direction=\"in\"}"), 123.0);
    assert_eq!(value("counterfoil_dropped_total", "{reason=\"stranger\"}"), 1.0);
    let series = "{decision=\"ClaimIsJudged\",notice=\"ClaimGranted\"}";
    assert_eq!(value("counterfoil_notices_total", series), 1.0);
    assert_eq!(value("counterfoil_placements_total", "{outcome=\"exhausted\"}"), 1.0);
    assert_eq!(value("counterfoil_violations_total", "{property=\"no_overcommit\"}"), 1.0);
    assert_eq!(value("counterfoil_nodes", "{presence=\"suspected\"}"), 7.0);
    assert_eq!(value("counterfoil_recorded_bytes_total", ""), 9.0);
}

#[test]
fn buckets_add_up_and_bounds_are_in_seconds() {
    let meters = Meters::default();
    for took in [Duration::from_micros(10), Duration::from_micros(11), Duration::from_secs(3)] {
        meters.committed(2, took);
    }
    let text = render(&meters);
    let family = &read(&text)["counterfoil_commit_seconds"];
    let bucket = |le: &str| family.samples[&format!("_bucket{{le=\"{le}\"}}")];
    let seen = ["0.00001", "0.000025", "0.1", "2.5", "+Inf"].map(bucket);
    assert_eq!(seen, [1.0, 2.0, 2.0, 2.0, 3.0]);
    assert_eq!(family.samples["_count"], 3.0);
    assert_eq!(family.samples["_sum"], 3.000021);
    let cumulative: Vec<f64> = text
        .lines()
        .filter(|line| line.starts_with("counterfoil_commit_seconds_bucket"))
        .map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
        .collect();
    assert!(cumulative.is_sorted(), "{cumulative:?}");
}

#[test]
fn what_would_end_a_label_or_a_line_is_escaped() {
    let mut text = Exposition::default();
    text.family("a", "gauge", "one\\two\nthree");
    text.sample(&[("label", "one\\two\"three\nfour")], 1);
    let expected = "# HELP a one\\\\two\\nthree\n# TYPE a gauge\n\
                    a{label=\"one\\\\two\\\"three\\nfour\"} 1\n";
    assert_eq!(text.text, expected);
}

#[test]
fn names_follow_the_conventions() {
    for (name, Family { kind, help, .. }) in read(&render(&Meters::default())) {
        assert!(name.starts_with("counterfoil_") && help.ends_with('.'), "{name}: {help}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
    }
}

#[test]
fn the_documentation_lists_every_metric() {
    let documentation = include_str!("../../../../docs/metrics.md");
    let documented: BTreeSet<&str> =
        documentation.lines().filter(|line| line.starts_with("| `")).collect();
    let row = |(name, family): (String, Family)| {
        let labels = family.labels.iter().filter(|label| *label != "le");
        let labels: String = labels.map(|label| format!("`{label}` ")).collect();
        let Family { kind, help, .. } = family;
        format!("| `{name}` | {kind} | {labels}| {help} |")
    };
    let rendered: BTreeSet<String> =
        read(&render(&Meters::default())).into_iter().map(row).collect();
    let rows: Vec<&String> = rendered.iter().collect();
    assert!(rows.iter().copied().eq(documented.iter()), "docs/metrics.md must list:\n{rows:#?}");
}
