//! An empty registry of the lab, for `tests/interop/` to copy to and from.
//!
//! ```text
//! lab-registry [SECONDS]
//! ```
//!
//! Prints its `host:port`, and serves until the seconds (900) are over.

use std::time::Duration;

use anyhow::Context;
use lab::registry::Registry;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let seconds = std::env::args().nth(1).map_or(Ok(900), |text| text.parse());
    let seconds = Duration::from_secs(seconds.context("SECONDS is a number")?);

    let registry = Registry::builder().start().await?;
    println!("{}", registry.host());

    tokio::time::sleep(seconds).await;
    Ok(())
}
