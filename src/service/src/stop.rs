//! Being asked to stop, or to read the configuration again.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::{self, Read};
use std::thread;

/// What a process is asked by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To stop: SIGTERM, SIGINT, or the end of standard input.
    Stop,
    /// To read again what may change while it runs: SIGHUP.
    Reload,
}

/// Calls `ask` when this process is asked something by a signal and, if `until_stdin_closes`, when
/// its standard input ends: then it does not outlive a parent that holds the other end.
///
/// # Errors
/// If the signals cannot be taken.
pub fn when_asked(
    until_stdin_closes: bool,
    ask: impl Fn(Asked) + Clone + Send + 'static,
) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let on_signal = ask.clone();
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            let asked = if signal == SIGHUP { Asked::Reload } else { Asked::Stop };
            tracing::info!(signal, ?asked, "signal");
            on_signal(asked);
        }
    })?;
    if until_stdin_closes {
        thread::Builder::new().name("stdin".to_owned()).spawn(move || {
            let mut buffer = [0; 64];
            while io::stdin().read(&mut buffer).is_ok_and(|length| length > 0) {}
            ask(Asked::Stop);
        })?;
    }
    Ok(())
}
