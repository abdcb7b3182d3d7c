//! A headless Chromium for tests, driven over its DevTools protocol.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tempfile::TempDir;
use tungstenite::{Message, WebSocket};

/// Where it may be, first to last.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// It speaks to nobody but a server on this machine.
const FLAGS: [&str; 13] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
];

/// When the browser says nothing for this long, the test is given up.
const SILENCE: Duration = Duration::from_secs(60);

/// One at a time: each takes much memory.
static ONE: Mutex<()> = Mutex::new(());

/// A browser with one page.
pub struct Browser {
    child: Child,
    socket: WebSocket<TcpStream>,
    session: Option<String>,
    calls: u64,
    /// What it has told, besides answers.
    events: Vec<Value>,
    _profile: TempDir,
    _one: MutexGuard<'static, ()>,
}

fn program() -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    let all = std::env::split_paths(&paths).flat_map(|dir| NAMES.map(|name| dir.join(name)));
    all.into_iter().find(|path| path.is_file())
}

impl Browser {
    /// Starts one; `None`, and a word on standard error, if there is none on this machine and none
    /// is required by `COUNTERFOIL_BROWSER=required`.
    ///
    /// # Panics
    /// If one is required and there is none, or it cannot be driven.
    pub fn start() -> Option<Browser> {
        let Some(program) = program() else {
            let required = std::env::var_os("COUNTERFOIL_BROWSER").is_some_and(|v| v == "required");
            assert!(!required, "COUNTERFOIL_BROWSER=required, and there is none of {NAMES:?}");
            // Not by a macro, whose words are kept back when a test passes.
            let skipped =
                format!("SKIPPED: no browser sees the page: none of {NAMES:?} is there\n");
            std::io::stderr().write_all(skipped.as_bytes()).unwrap();
            return None;
        };
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let profile = tempfile::tempdir().unwrap();
        let mut child = Command::new(program)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let url =
            said.find_map(|line| Some(line.strip_prefix("DevTools listening on ")?.to_owned()));
        let url = url.expect("it listens for DevTools");
        // What it says is taken, so that it never waits for that.
        std::thread::spawn(move || said.for_each(drop));
        let host = url.strip_prefix("ws://").and_then(|rest| rest.split('/').next()).unwrap();
        let stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(SILENCE)).unwrap();
        let (socket, _) = tungstenite::client(&url, stream).unwrap();
        let mut browser = Browser {
            child,
            socket,
            session: None,
            calls: 0,
            events: Vec::new(),
            _profile: profile,
            _one: one,
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", attach);
        browser.session = Some(session["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let mut call = json!({ "id": self.calls, "method": method, "params": params });
        if let Some(session) = &self.session {
            call["sessionId"] = json!(session);
        }
        self.socket.send(Message::text(call.to_string())).unwrap();
        loop {
            let said = self.socket.read().unwrap_or_else(|error| panic!("{method}: {error}"));
            let Message::Text(said) = said else { continue };
            let mut said: Value = serde_json::from_str(&said).unwrap();
            if said["id"] == self.calls {
                assert!(said["error"].is_null(), "{method}: {said}");
                return said["result"].take();
            }
            self.events.push(said);
        }
    }

    /// Opens `url` in a view of this size, for someone who prefers the dark or not.
    pub fn open(&mut self, url: &str, (width, height): (u32, u32), dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features }));
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size);
        self.call("Page.navigate", json!({ "url": url }));
    }

    /// What the page says to `expression`.
    ///
    /// # Panics
    /// If that throws.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let asked =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut said = self.call("Runtime.evaluate", asked);
        assert!(said["exceptionDetails"].is_null(), "{expression}: {said}");
        said["result"]["value"].take()
    }

    /// Waits until the page says yes to `expression`.
    ///
    /// # Panics
    /// If it does not for half a minute.
    pub fn until(&mut self, expression: &str) {
        let until = format!(
            "new Promise(done => {{ let left = 1500; const look = () => {{ if ({expression}) \
             done('yes'); else if (!left--) done(document.body.innerText); else setTimeout(look, \
             20); }}; look(); }})"
        );
        let said = self.evaluate(&until);
        assert_eq!(said, "yes", "{expression}");
    }

    /// What is read where `selector` finds something first.
    ///
    /// # Panics
    /// If it finds nothing.
    pub fn text(&mut self, selector: &str) -> String {
        let said = self.evaluate(&format!("document.querySelector({selector:?}).innerText"));
        said.as_str().unwrap().to_owned()
    }

    /// Presses and lets go of a key, by its name or by what it writes.
    ///
    /// # Panics
    /// If there is no such key.
    pub fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            "Escape" => (27, ""),
            "ArrowLeft" => (37, ""),
            "ArrowRight" => (39, ""),
            _ if key.chars().count() == 1 => (0, key),
            _ => panic!("{key} is not on this keyboard"),
        };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let event = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text,
            });
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Presses Tab until the focus is where `expression`, of `document.activeElement` as `at`,
    /// holds.
    ///
    /// # Panics
    /// If no Tab of thirty leads there.
    pub fn tab_to(&mut self, expression: &str) {
        for _ in 0..30 {
            self.press("Tab");
            let there = format!("(at => {expression})(document.activeElement)");
            if self.evaluate(&there) == true {
                return;
            }
        }
        panic!("no Tab leads to where {expression}");
    }

    /// Types where the focus is.
    pub fn enter(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// Takes a picture of what is in view.
    ///
    /// # Panics
    /// If it cannot be kept.
    pub fn picture(&mut self, path: &Path) {
        let picture = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, STANDARD.decode(picture["data"].as_str().unwrap()).unwrap()).unwrap();
        eprintln!("{}", path.display());
    }

    /// What the console was told that is an error, since this was asked last.
    pub fn errors(&mut self) -> Vec<String> {
        // Everything that it had to tell before comes first.
        self.evaluate("0");
        let is_error = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => event["params"]["type"] == "error",
            Some("Log.entryAdded") => event["params"]["entry"]["level"] == "error",
            _ => false,
        };
        let errors = self.events.iter().filter(is_error).map(Value::to_string).collect();
        self.events.retain(|event| !is_error(&event));
        errors
    }

    /// What was requested of anyone.
    pub fn requested(&mut self) -> Vec<String> {
        self.evaluate("0");
        let sent = |event: &&Value| event["method"] == "Network.requestWillBeSent";
        let urls = self.events.iter().filter(sent).map(|event| &event["params"]["request"]["url"]);
        urls.map(|url| url.as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let close = json!({ "id": 0, "method": "Browser.close" });
        let asked = self.socket.send(Message::text(close.to_string())).is_ok();
        // It closes the connection, or says nothing for long.
        while asked && self.socket.read().is_ok() {}
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
