//! Being asked to stop.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::{self, Read};
use std::thread;

/// Calls `stop` when this process gets SIGTERM or SIGINT and, if `until_stdin_closes`, when its
/// standard input ends: then it does not outlive a parent that holds the other end.
///
/// # Errors
/// If the signals cannot be taken.
pub fn when_asked(
    until_stdin_closes: bool,
    stop: impl Fn() + Clone + Send + 'static,
) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let on_signal = stop.clone();
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            tracing::info!(signal, "asked to stop");
            on_signal();
        }
    })?;
    if until_stdin_closes {
        thread::Builder::new().name("stdin".to_owned()).spawn(move || {
            let mut buffer = [0; 64];
            while io::stdin().read(&mut buffer).is_ok_and(|length| length > 0) {}
            stop();
        })?;
    }
    Ok(())
}
