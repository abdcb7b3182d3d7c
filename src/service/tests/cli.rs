//! The command line, against a cluster.

mod common;

use common::Up;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_else(|| panic!("nothing was said"))
}

#[test]
fn what_is_placed_is_there_until_it_is_released() {
    let up = Up::start(&["--nodes", "2"]);
    let placed = up.says(&["place", "--vcpu", "2", "--memory-mb", "512", "--disk-gb", "1"], 0);
    let claim = first_word(&placed);
    assert!(placed.ends_with("  confirmed\n"), "{placed}");
    let got = up.says(&["get", claim], 0);
    assert_eq!(got, format!("{claim}  confirmed  DISK_GB=1 MEMORY_MB=512 VCPU=2\n"));
    let got = json(&up.says(&["get", claim, "--format", "json"], 0));
    assert_eq!(got["state"], "confirmed");
    assert_eq!(up.says(&["release", claim], 0), format!("{claim}  gone\n"));
    assert_eq!(up.says(&["get", claim], 1), format!("{claim}  gone\n"));
    assert_eq!(up.says(&["confirm", claim], 1), format!("{claim}  gone\n"));
    let placed = json(&up.says(&["place", "--resource", "VCPU=1", "--format", "json"], 0));
    assert_eq!(placed["placed"][0]["state"], "confirmed");
}

#[test]
fn what_is_only_held_can_be_confirmed() {
    let up = Up::start(&["--nodes", "1"]);
    let held = up.says(&["place", "--vcpu", "1", "--hold"], 0);
    assert!(held.contains("held, lapses in 30 s"), "{held}");
    let claim = first_word(&held);
    assert!(up.says(&["get", claim], 0).contains("  held  "));
    assert_eq!(up.says(&["confirm", claim], 0), format!("{claim}  confirmed\n"));
    assert!(up.says(&["get", claim], 0).contains("  confirmed  "));
}

#[test]
fn of_several_instances_all_are_placed_or_none() {
    let small = ["--schedulers", "1", "--nodes", "2", "--vcpu", "2", "--cpu-ratio", "1"];
    let up = Up::start(&small);
    let refused = up.says(&["place", "--vcpu", "1", "--instances", "5"], 1);
    assert!(refused.contains("no valid host"), "{refused}");
    // Nothing is left of it.
    let placed = up.says(&["place", "--vcpu", "1", "--instances", "4"], 0);
    let claims: Vec<&str> = placed.lines().map(first_word).collect();
    assert_eq!(claims.len(), 4);
    up.says(&[["release"].as_slice(), &claims].concat(), 0);
}

#[test]
fn groups_traits_and_zones_decide_where() {
    let up = Up::start(&["--nodes", "2", "--trait", "HW_FAST", "--zone", "ZONE_A"]);
    let place = |args: &[&str], code| {
        let said = up.says(&[["place", "--vcpu", "1"].as_slice(), args].concat(), code);
        said.split_whitespace().nth(1).unwrap().to_owned()
    };
    place(&["--trait", "HW_FAST", "--zone", "ZONE_A"], 0);
    place(&["--forbid", "HW_FAST"], 1);
    place(&["--zone", "ZONE_B"], 1);
    place(&["--aggregate", "AGG"], 1);
    let first = place(&["--group", "web", "--apart", "web"], 0);
    let second = place(&["--group", "web", "--apart", "web"], 0);
    assert_ne!(first, second);
    place(&["--group", "web", "--apart", "web"], 1);
    let near = place(&["--group", "cache", "--near", "web", "--apart", "cache=0"], 0);
    assert!([first, second].contains(&near));
    place(&["--near", "nobody"], 1);
}

#[test]
fn a_node_that_is_drained_takes_nothing_until_it_is_undrained() {
    let up = Up::start(&["--schedulers", "1", "--nodes", "1"]);
    let placed = up.says(&["place", "--vcpu", "1"], 0);
    let claim = first_word(&placed);
    assert!(up.says(&["drain", "n1"], 0).starts_with("n1  "));
    up.until(&["nodes"], |output| String::from_utf8_lossy(&output.stdout).contains("drain"));
    up.says(&["place", "--vcpu", "1"], 1);
    assert!(up.says(&["get", claim], 0).contains("confirmed"), "what is there stays");
    up.says(&["undrain", "1"], 0);
    up.until(&["place", "--vcpu", "1"], |output| output.status.success());
    assert!(up.says(&["drain", "n9"], 1).contains("knows no n9"));
}

#[test]
fn nodes_and_watch_show_what_is_used() {
    let up = Up::start(&["--schedulers", "1", "--nodes", "3"]);
    up.says(&["place", "--vcpu", "3"], 0);
    up.until(&["watch", "--once"], |output| {
        String::from_utf8_lossy(&output.stdout).contains("VCPU 3/3072 (0%)")
    });
    let seen = up.says(&["watch", "--once"], 0);
    assert!(seen.starts_with("3 of 3 nodes present"), "{seen}");
    assert!(seen.contains("LAST DECISIONS"), "{seen}");
    let seen = json(&up.says(&["watch", "--once", "--format", "json"], 0));
    assert_eq!(seen["nodes"].as_array().unwrap().len(), 3);
    let nodes = up.says(&["nodes"], 0);
    assert_eq!(nodes.lines().count(), 4, "{nodes}");
    let node = json(&up.says(&["nodes", "n2", "--format", "json"], 0));
    assert_eq!(node["node"], 2);
    up.says(&["nodes", "7"], 1);
}

#[test]
fn a_scheduler_that_is_down_is_passed_over() {
    let up = Up::start(&["--nodes", "1"]);
    let urls = format!("http://127.0.0.1:1,{}", up.urls[0]);
    let claims: Vec<String> = (0..3)
        .map(|_| up.says(&["place", "--vcpu", "1", "--api", &urls], 0))
        .map(|placed| first_word(&placed).to_owned())
        .collect();
    for claim in &claims {
        up.says(&["release", claim, "--api", "http://127.0.0.1:1", "--api", &up.urls[1]], 0);
    }
    let nobody = ["--api", "http://127.0.0.1:1"];
    let said = up.says(&[["get", &claims[0]].as_slice(), &nobody].concat(), 3);
    assert!(said.contains("cannot be reached"), "{said}");
    let place = ["place", "--vcpu", "1", "--timeout", "300ms"];
    up.says(&[place.as_slice(), &nobody].concat(), 3);
}

#[test]
fn what_makes_no_sense_or_is_not_allowed_is_said() {
    let up = Up::start(&["--schedulers", "1", "--nodes", "1"]);
    assert!(up.says(&["place"], 2).contains("nothing is asked for"));
    assert!(up.says(&["place", "--resource", "vcpu=1"], 2).contains("use 1 to 64 of A-Z"));
    assert!(up.says(&["release", "s1.1:n1"], 2).contains("s1."));
    assert!(up.says(&["nodes", "--api", "127.0.0.1:1"], 2).contains("write http://HOST:PORT"));
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "not-the-token\n").unwrap();
    let other = ["--token-file", token.to_str().unwrap()];
    for command in [["nodes"].as_slice(), &["place", "--vcpu", "1"]] {
        assert!(up.says(&[command, &other].concat(), 2).contains("status 401"));
    }
    up.says(&["nodes", "--token-file", "/nowhere"], 5);
    for shell in ["bash", "zsh", "fish"] {
        assert!(up.says(&["completions", shell], 0).contains("counterfoil"));
    }
}

/// Passes requests on to a scheduler, but for the first to confirm: says so, and answers nothing.
fn deaf_to_confirms(url: &str) -> (String, Receiver<()>) {
    let scheduler = url.strip_prefix("http://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (say, heard) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (to, say) = (TcpStream::connect(&scheduler).unwrap(), say.clone());
            thread::spawn(move || pass_on(stream.unwrap(), to, &say));
        }
    });
    (url, heard)
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, say: &Sender<()>) {
    let (mut answers, mut back) = (to.try_clone().unwrap(), from.try_clone().unwrap());
    thread::spawn(move || std::io::copy(&mut answers, &mut back));
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if buffer.starts_with(b"PUT ") {
            let _ = say.send(());
            continue;
        }
        to.write_all(&buffer[..length]).unwrap();
    }
}

#[test]
fn what_a_killed_run_had_chosen_is_finished_or_taken_back() {
    let up = Up::start(&["--schedulers", "1", "--nodes", "1"]);
    for (resume, state, code) in
        [(["resume"].as_slice(), "confirmed", 0), (&["resume", "--release"], "gone", 1)]
    {
        let (url, heard) = deaf_to_confirms(&up.urls[0]);
        let place =
            up.command(&["place", "--vcpu", "1", "--api", &url]).stdout(Stdio::null()).spawn();
        let mut place = place.unwrap();
        heard.recv().unwrap();
        assert_eq!(up.says(&["resume"], 0), "", "it is still running");
        place.kill().unwrap();
        place.wait().unwrap();
        let hint = up.run(&["place", "--vcpu", "1"]).stderr;
        assert!(String::from_utf8(hint).unwrap().contains("1 earlier runs did not end"));
        let resumed = up.says(resume, 0);
        assert!(resumed.ends_with(&format!("  {state}\n")), "{resumed}");
        let got = up.says(&["get", first_word(&resumed)], code);
        assert!(got.contains(state), "{got}");
        assert_eq!(up.says(&["resume"], 0), "", "nothing is left");
    }
}

#[test]
fn a_run_that_is_interrupted_before_it_has_chosen_leaves_nothing() {
    let up = Up::start(&["--schedulers", "1", "--nodes", "1"]);
    let place = ["place", "--vcpu", "1", "--api", "http://127.0.0.1:1"];
    let mut place =
        up.command(&place).stderr(Stdio::piped()).env("COUNTERFOIL_LOG", "info").spawn().unwrap();
    // It has said that it cannot reach anyone, so it takes signals.
    let mut first = [0; 1];
    place.stderr.as_mut().unwrap().read_exact(&mut first).unwrap();
    let pid = rustix::process::Pid::from_child(&place);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(place.wait().unwrap().code(), Some(130));
    assert_eq!(up.says(&["resume"], 0), "");
}
