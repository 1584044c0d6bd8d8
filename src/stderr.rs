//! Standard error, written by a separate thread, so that a reader that is slow or gone, or a full disk, does not
//! block the run.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use console::Term;
use indicatif::TermLike;

/// The longest queue, in lines.
const WAITING: usize = 4096;

/// How long a writer waits once for room in the queue if nothing is read.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often it checks for room.
const LOOK: Duration = Duration::from_millis(5);

/// A command for the thread.
enum Message {
    Write(Vec<u8>),
    /// Reply when everything before is written.
    Flush(SyncSender<()>),
}

/// The queue of the thread that writes.
struct Queue {
    messages: SyncSender<Message>,
    state: Arc<State>,
}

/// The state that the writers and the thread share.
#[derive(Default)]
struct State {
    /// Texts written so far.
    written: AtomicU64,
    /// Texts that were dropped because the queue was full.
    lost: AtomicU64,
    /// A writer's wait timed out; others do not wait until something is written again.
    is_stalled: AtomicBool,
    /// Something was taken out of the queue.
    has_room: Condvar,
    /// What the condition needs.
    gate: Mutex<()>,
}

static QUEUE: OnceLock<Queue> = OnceLock::new();

fn queue() -> &'static Queue {
    QUEUE.get_or_init(|| {
        let (messages, received) = sync_channel(WAITING);
        let state = Arc::new(State::default());
        let own = Arc::clone(&state);
        // If the thread cannot be started, the run continues without output.
        let name = std::thread::Builder::new().name("stderr".to_owned());
        drop(name.spawn(move || write_all(&received, &own)));
        Queue { messages, state }
    })
}

fn write_all(messages: &Receiver<Message>, state: &State) {
    let mut out = io::stderr();
    while let Ok(message) = messages.recv() {
        state.has_room.notify_all();
        match message {
            Message::Write(text) => {
                // There is no other place to report this error.
                out.write_all(&text).ok();
                state.written.fetch_add(1, Ordering::Relaxed);
                state.is_stalled.store(false, Ordering::Relaxed);
                let lost = state.lost.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    writeln!(
                        out,
                        "warning: {lost} lines were lost: standard error was not read"
                    )
                    .ok();
                }
            }
            Message::Flush(done) => drop(done.send(())),
        }
    }
}

/// Writes a text; if the queue stays full, the text is dropped after a short wait.
pub fn write(text: &[u8]) {
    let Queue { messages, state } = queue();
    let mut message = Message::Write(text.to_vec());
    let started = Instant::now();
    loop {
        message = match messages.try_send(message) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => return,
            Err(TrySendError::Full(message)) => message,
        };
        if state.is_stalled.load(Ordering::Relaxed) || started.elapsed() > PATIENCE {
            state.is_stalled.store(true, Ordering::Relaxed);
            state.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let gate = state.gate.lock().unwrap_or_else(PoisonError::into_inner);
        drop(state.has_room.wait_timeout(gate, LOOK));
    }
}

/// Waits until everything is written, as long as something is written at all.
pub fn flush() {
    let Queue { messages, state } = queue();
    let (done, is_done) = sync_channel(1);
    let mut message = Some(Message::Flush(done));
    let mut seen = (state.written.load(Ordering::Relaxed), Instant::now());
    while seen.1.elapsed() < PATIENCE {
        if let Some(waiting) = message.take() {
            match messages.try_send(waiting) {
                Ok(()) => {}
                Err(TrySendError::Full(waiting)) => message = Some(waiting),
                Err(TrySendError::Disconnected(_)) => return,
            }
        }
        if is_done.recv_timeout(LOOK).is_ok() {
            return;
        }
        let written = state.written.load(Ordering::Relaxed);
        if written != seen.0 {
            seen = (written, Instant::now());
        }
    }
}

/// A terminal for progress bars, whose frames go through the queue.
#[derive(Debug)]
pub(crate) struct Frames {
    term: Term,
    frame: Mutex<String>,
}

impl Frames {
    pub(crate) fn new() -> Self {
        Self {
            term: Term::stderr(),
            frame: Mutex::default(),
        }
    }

    fn add(&self, text: &str) {
        let mut frame = self.frame.lock().unwrap_or_else(PoisonError::into_inner);
        frame.push_str(text);
    }

    /// Moves the cursor in the direction that the letter means.
    fn move_cursor(&self, n: usize, letter: char) {
        if n > 0 {
            self.add(&format!("\x1b[{n}{letter}"));
        }
    }
}

impl TermLike for Frames {
    fn width(&self) -> u16 {
        self.term.size().1
    }

    fn height(&self) -> u16 {
        self.term.size().0
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'A');
        Ok(())
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'B');
        Ok(())
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'C');
        Ok(())
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'D');
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.add(text);
        self.add("\n");
        Ok(())
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.add(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.add("\r\x1b[2K");
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let mut frame = self.frame.lock().unwrap_or_else(PoisonError::into_inner);
        if !frame.is_empty() {
            write(frame.as_bytes());
            frame.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_kept_until_it_is_whole() {
        let frames = Frames::new();
        frames.write_str("a").unwrap();
        frames.move_cursor_up(0).unwrap();
        frames.move_cursor_up(2).unwrap();
        frames.clear_line().unwrap();
        frames.write_line("b").unwrap();
        assert_eq!(*frames.frame.lock().unwrap(), "a\x1b[2A\r\x1b[2Kb\n");
    }
}
