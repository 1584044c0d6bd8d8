//! SIGINT and SIGTERM: the first one ends the command with a report, the second one ends the process.

use std::io::IsTerminal;
use std::sync::OnceLock;

use tokio_util::sync::CancellationToken;

use crate::stderr;

/// 128 and the number of the signal, as shells show it.
const INTERRUPTED: u8 = 130;
/// The same.
const TERMINATED: u8 = 143;

/// The exit code of the signal that was received.
pub(super) static EXIT_CODE: OnceLock<u8> = OnceLock::new();

/// Starts listening. The first signal cancels `stop`.
#[cfg(unix)]
pub(super) fn listen(stop: &CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};

    let signals = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    );
    let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
        return;
    };
    let stop = stop.clone();
    let mut next = async move || {
        tokio::select! {
            _ = terminate.recv() => TERMINATED,
            _ = interrupt.recv() => INTERRUPTED,
        }
    };
    tokio::spawn(async move {
        EXIT_CODE.set(next().await).ok();
        stop.cancel();
        let code = next().await;
        if std::io::stderr().is_terminal() {
            // The bar may be there still.
            stderr::write(b"\r\x1b[2K");
            stderr::flush();
        }
        std::process::exit(code.into());
    });
}

/// Starts listening. The first signal cancels `stop`.
#[cfg(not(unix))]
pub(super) fn listen(stop: &CancellationToken) {
    let stop = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            EXIT_CODE.set(INTERRUPTED).ok();
            stop.cancel();
            tokio::signal::ctrl_c().await.ok();
            std::process::exit(INTERRUPTED.into());
        }
    });
    let _ = TERMINATED;
}
