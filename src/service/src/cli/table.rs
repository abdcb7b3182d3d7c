//! What is known of nodes, as lines of text.

use serde_json::Value;

/// Columns in order, each as wide as its widest cell.
pub(crate) fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A head, and a line for each node.
pub(crate) fn nodes(nodes: &[Value]) -> Vec<String> {
    let classes = classes(nodes);
    let mut head: Vec<String> = ["NODE", "STATUS", "PRESENCE", "HEARD"].map(str::to_owned).to_vec();
    head.extend(classes.iter().cloned());
    let mut rows = vec![head];
    rows.extend(nodes.iter().map(|node| row(node, &classes)));
    aligned(&rows)
}

/// What all nodes together have, class by class: used and capacity.
pub(crate) fn sums(nodes: &[Value]) -> Vec<String> {
    let sum = |class: &String| {
        let used: u128 = nodes.iter().map(|node| u128::from(used(node, class))).sum();
        let capacity: u128 = nodes.iter().map(|node| u128::from(capacity(node, class))).sum();
        let percent = (used * 100).checked_div(capacity).unwrap_or(0);
        format!("{class} {used}/{capacity} ({percent}%)")
    };
    classes(nodes).iter().map(sum).collect()
}

/// How many nodes are as they should be.
pub(crate) fn present(nodes: &[Value]) -> usize {
    nodes.iter().filter(|node| text(node, "presence") == "present").count()
}

fn row(node: &Value, classes: &[String]) -> Vec<String> {
    let heard = node["heard_ms"].as_u64().map_or_else(|| "never".to_owned(), ago);
    let mut row =
        vec![format!("n{}", node["node"]), text(node, "status"), text(node, "presence"), heard];
    row.extend(classes.iter().map(|class| {
        let capacity = capacity(node, class);
        if capacity == 0 { "-".to_owned() } else { format!("{}/{capacity}", used(node, class)) }
    }));
    row
}

fn text(node: &Value, field: &str) -> String {
    node[field].as_str().unwrap_or("-").to_owned()
}

/// The classes that any node has, the usual first.
fn classes(nodes: &[Value]) -> Vec<String> {
    let usual = ["VCPU", "MEMORY_MB", "DISK_GB"];
    let named = nodes.iter().filter_map(|node| node["inventory"].as_object());
    let named: std::collections::BTreeSet<&String> = named.flat_map(|all| all.keys()).collect();
    let is_usual = |class: &&&String| usual.contains(&class.as_str());
    let first = usual.into_iter().filter(|class| named.iter().any(|name| name == class));
    let rest = named.iter().filter(|class| !is_usual(class)).map(|class| class.as_str());
    first.chain(rest).map(str::to_owned).collect()
}

fn used(node: &Value, class: &str) -> u64 {
    node["used"][class].as_u64().unwrap_or(0)
}

/// How much may be allocated: (total - reserved) x allocation ratio.
fn capacity(node: &Value, class: &str) -> u64 {
    let class = &node["inventory"][class];
    let of = |field: &str| class[field].as_u64().unwrap_or(0);
    let ratio = class["allocation_ratio"].as_f64().unwrap_or(1.0);
    (of("total").saturating_sub(of("reserved")) as f64 * ratio) as u64
}

/// How long ago, short.
fn ago(milliseconds: u64) -> String {
    match milliseconds {
        0..10_000 => format!("{}.{}s", milliseconds / 1000, milliseconds % 1000 / 100),
        10_000..600_000 => format!("{}s", milliseconds / 1000),
        600_000.. => format!("{}m", milliseconds / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_is_a_line_with_what_is_used_of_what_may_be() {
        let class =
            |total, ratio| json!({"total": total, "reserved": 1, "allocation_ratio": ratio});
        let one = json!({
            "node": 3, "status": "up", "presence": "present", "heard_ms": 1250,
            "inventory": {"CUSTOM_X": class(2, 1.0), "VCPU": class(5, 1.5)}, "used": {"VCPU": 2},
        });
        let other = json!({"node": 12, "status": null, "presence": "met", "heard_ms": null});
        let all = [one, other];
        let lines = nodes(&all);
        assert_eq!(lines[0], "NODE  STATUS  PRESENCE  HEARD  VCPU  CUSTOM_X");
        assert_eq!(lines[1], "n3    up      present   1.2s   2/6   0/1");
        assert_eq!(lines[2], "n12   -       met       never  -     -");
        assert_eq!(sums(&all), ["VCPU 2/6 (33%)", "CUSTOM_X 0/1 (0%)"]);
        assert_eq!(present(&all), 1);
    }
}
