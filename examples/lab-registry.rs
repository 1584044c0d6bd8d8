//! An empty registry of the lab, for `tests/interop/` to copy to and from.
//!
//! ```text
//! lab-registry [SECONDS]
//! ```
//!
//! Prints its `host:port`, and serves until its standard input ends or the seconds (900) are over. Then
//! it looks at all that it holds: what is wrong with it goes to standard error, and makes it fail.

use std::io::Read;
use std::time::Duration;

use anyhow::Context;
use lab::registry::Registry;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let seconds = std::env::args()
        .nth(1)
        .map_or(Ok(900), |text| text.parse());
    let seconds = Duration::from_secs(seconds.context("SECONDS is a number")?);

    let registry = Registry::builder().start().await?;
    println!("{}", registry.host());

    let (end, ended) = tokio::sync::oneshot::channel();
    // A thread of its own, which nobody waits for when the time is over first.
    std::thread::spawn(move || {
        let read = std::io::stdin().read_to_end(&mut Vec::new());
        end.send(read).ok();
    });
    if let Ok(ended) = tokio::time::timeout(seconds, ended).await {
        ended??;
    }
    let wrong = registry.check_integrity();
    anyhow::ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
