//! A bundle in a bucket.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use futures_util::{FutureExt, StreamExt, TryStreamExt, future, stream};
use tempfile::TempPath;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use crate::aws::{self, ObjectReader};
use oci_copy::store::archive::{Files, Ranges};
use oci_copy::store::{Answer, Blob, Error};

/// How many ranges are read in parallel.
const AT_ONCE: usize = 8;

/// How much one request reads of an object that is fetched whole, in bytes.
const RANGE: u64 = 32 * 1024 * 1024;

/// An object that is read by ranges, from a local copy once there is one.
pub(super) struct Object {
    reader: ObjectReader,
    local: OnceLock<(Files, TempPath)>,
}

impl Object {
    pub(super) fn new(reader: ObjectReader) -> Arc<Self> {
        Arc::new(Self {
            reader,
            local: OnceLock::new(),
        })
    }

    /// Fetches the whole object into a file that ends with the process, so that checking and copying it reads
    /// it over the network once.
    ///
    /// # Errors
    /// When the object cannot be read, or the disk is full.
    pub(super) async fn fetch(&self, folder: &Path) -> anyhow::Result<()> {
        let failed = || format!("cannot keep {} in {}", self.shown(), folder.display());
        let file = tempfile::Builder::new()
            .prefix(".bundle-")
            .tempfile_in(folder)
            .with_context(failed)?;
        let path = file.into_temp_path();
        let size = self.reader.size;
        let starts = (0..size.div_ceil(RANGE)).map(|number| number * RANGE);
        let path_of_file: &Path = &path;
        stream::iter(starts)
            .map(|start| async move {
                let mut file = tokio::fs::OpenOptions::new()
                    .write(true)
                    .open(path_of_file)
                    .await?;
                file.seek(std::io::SeekFrom::Start(start)).await?;
                let mut pieces = self.reader.read(start, RANGE.min(size - start));
                while let Some(piece) = pieces.next().await {
                    file.write_all(&piece?).await?;
                }
                file.flush().await?;
                anyhow::Ok(())
            })
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await
            .with_context(failed)?;
        let files = Files::open(&path).with_context(failed)?;
        // Only one fetch is ever made.
        self.local.set((files, path)).ok();
        Ok(())
    }
}

impl Ranges for Object {
    fn shown(&self) -> String {
        self.reader.show()
    }

    fn size(&self) -> Answer<'_, u64> {
        future::ready(Ok(self.reader.size)).boxed()
    }

    fn read(&self, from: u64, length: u64) -> Answer<'_, Blob> {
        if let Some((files, _)) = self.local.get() {
            return files.read(from, length);
        }
        let pieces = self
            .reader
            .read(from, length)
            .map_err(|error| failed(&error));
        future::ready(Ok(pieces.boxed())).boxed()
    }

    fn at_once(&self) -> usize {
        self.local
            .get()
            .map_or(AT_ONCE, |(files, _)| files.at_once())
    }
}

fn failed(error: &aws::Error) -> Error {
    Error::Provider {
        message: error.to_string(),
        remedy: error.remedy().map(Into::into),
    }
}
