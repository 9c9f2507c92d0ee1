//! Carries out the steps of an update: the file system and the download, no policy.

use crate::client::{Client, failure};
use bytes::Bytes;
use ithiltir_proto::node::{Update, UpdateError};
use ithiltir_proto::update::{Download, DownloadError, Restart, Step};
use program::client::piece;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use tokio::fs::{self, OpenOptions};
use tokio::io::AsyncWriteExt as _;

/// Carries an update out up to its last step, which it returns: the caller reports the outcome before it restarts.
/// Once `cancelled` is ready it stops between two steps, or in the middle of the download.
///
/// # Errors
/// What failed; everything that the update names has been cleaned up.
pub async fn install(
    client: &Client,
    update: Update,
    cancelled: impl Future<Output = ()>,
) -> Result<Restart, UpdateError> {
    let Update { request, download, installation, .. } = update;
    let mut cancelled = pin!(cancelled);
    let mut restart = Restart::Exit;
    let mut transfer = Some((request, download));
    for (step, action) in installation.steps.iter().enumerate() {
        let outcome = match action {
            Step::Restart(how) => {
                restart = how.clone();
                Ok(())
            }
            Step::Download { path, mode } => match transfer.take() {
                Some((request, download)) => {
                    let path = native(path);
                    tokio::select! {
                        outcome = store(client, request, download, &path, *mode) => outcome,
                        () = &mut cancelled => Err(Problem::Cancelled),
                    }
                }
                None => Ok(()),
            },
            step => carry_out(step).await.map_err(Problem::Io),
        };
        if let Err(problem) = outcome {
            if step > 0 {
                clean_up(&installation.on_failure).await;
            }
            return Err(match problem {
                Problem::Download(error) => error.into(),
                Problem::Cancelled => UpdateError::TimedOut,
                Problem::Io(error) => UpdateError::Step { step, problem: error.to_string().into() },
            });
        }
    }
    clean_up(&installation.afterwards).await;
    Ok(restart)
}

/// What is not there needs no cleaning, and what cannot be cleaned is no news.
async fn clean_up(steps: &[Step]) {
    for step in steps {
        let _ = carry_out(step).await;
    }
}

enum Problem {
    Cancelled,
    Download(DownloadError),
    Io(io::Error),
}

impl From<DownloadError> for Problem {
    fn from(error: DownloadError) -> Self {
        Self::Download(error)
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

async fn store(
    client: &Client,
    request: http::Request<Bytes>,
    mut download: Download,
    path: &Path,
    mode: u32,
) -> Result<(), Problem> {
    let response = client.open(request).await.map_err(|failure| DownloadError::Transport(failure.kind))?;
    download.handle_head(response.status())?;
    let mut file = create(path, mode).await?;
    let mut body = response.into_body();
    let lost = |no_answer| DownloadError::Transport(failure(no_answer).kind);
    while let Some(chunk) = piece(&mut body).await.map_err(lost)? {
        download.handle_chunk(&chunk)?;
        file.write_all(&chunk).await?;
    }
    download.finish()?;
    file.flush().await?;
    file.sync_all().await?;
    Ok(())
}

/// Carries out a step that needs no network.
///
/// # Errors
/// What the system says.
pub async fn carry_out(step: &Step) -> io::Result<()> {
    match step {
        Step::CreateDirectory { path, mode } => {
            fs::create_dir_all(native(path)).await?;
            set_mode(&native(path), *mode).await
        }
        Step::RemoveFile { path } => match fs::remove_file(native(path)).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        },
        Step::RemoveEmptyDirectory { path } => fs::remove_dir(native(path)).await,
        Step::WriteFile { path, mode, contents } => {
            let mut file = create(&native(path), *mode).await?;
            file.write_all(contents).await?;
            file.flush().await?;
            file.sync_all().await
        }
        Step::Rename { from, to } => fs::rename(native(from), native(to)).await,
        Step::Link { target, link } => create_link(&native(target), &native(link)).await,
        Step::Download { .. } | Step::Restart(_) => Ok(()),
    }
}

/// The steps of the Windows layout can be carried out elsewhere too, which is how they are tested.
#[must_use]
pub fn native(path: &str) -> PathBuf {
    if cfg!(windows) { path.into() } else { path.replace('\\', "/").into() }
}

/// Creates a file, or truncates one that an earlier attempt left.
async fn create(path: &Path, mode: u32) -> io::Result<fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    options.mode(mode);
    let file = options.open(path).await?;
    set_mode(path, mode).await?;
    Ok(file)
}

#[cfg(unix)]
async fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).await
}

#[cfg(not(unix))]
async fn set_mode(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
async fn create_link(target: &Path, link: &Path) -> io::Result<()> {
    fs::symlink(target, link).await
}

#[cfg(not(unix))]
async fn create_link(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
