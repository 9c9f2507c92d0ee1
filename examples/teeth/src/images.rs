//! The image store and the cache: copies of images, each with its digest beside it.
//!
//! | file of the cache | content |
//! | --- | --- |
//! | `UUID` | the image |
//! | `UUID.sha256` | its digest, as `sha256sum -c` reads it; without it the image counts as not cached |
//! | `.UUID.part` | a copy in the making; swept away at the next start |
//!
//! Everything here blocks.

use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use teeth_proto::command::ImageId;

/// Images on local storage, copied from a store of all images.
#[derive(Debug)]
pub struct Cache {
    images: PathBuf,
    cache: PathBuf,
    limit: u64,
    rate: Option<u64>,
    /// One list at a time.
    busy: Mutex<()>,
}

/// How far a task is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Copied or checked.
    pub done: u64,
    /// To be copied or checked.
    pub total: u64,
}

/// What became of a list of images.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Caching {
    /// The images of the list that are on local storage and intact.
    pub held: Vec<ImageId>,
    /// The images that are nowhere.
    pub missing: Vec<ImageId>,
}

/// What goes wrong with an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// It is in no store.
    #[error("image {0} is not in the image store")]
    Missing(ImageId),
    /// Its name is no UUID, and so no name of a file.
    #[error("image {0} is not a UUID")]
    NotAUuid(ImageId),
    /// It is larger than the cache may be.
    #[error("image {0} does not fit into the cache")]
    TooLarge(ImageId),
    /// The file system said no.
    #[error("image {image}: {error}")]
    Io {
        /// The image.
        image: ImageId,
        /// What it said.
        error: io::Error,
    },
    /// Nobody wants it any more.
    #[error("the task was given up")]
    GivenUp,
}

type News<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

impl Cache {
    /// Opens a cache in the folder `cache`, which is made if it is not there, for the images in the folder `images`.
    /// Unfinished copies of an earlier run are removed.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(images: &Path, cache: &Path, limit: Option<u64>) -> io::Result<Self> {
        fs::create_dir_all(cache)?;
        if fs::canonicalize(images)
            .is_ok_and(|images| fs::canonicalize(cache).is_ok_and(|cache| cache == images))
        {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the cache cannot be the image store"));
        }
        for entry in fs::read_dir(cache)? {
            let entry = entry?;
            if is_part(&entry.file_name().to_string_lossy()) {
                fs::remove_file(entry.path())?;
            }
        }
        let limit = limit.unwrap_or(u64::MAX);
        Ok(Self { images: images.into(), cache: cache.into(), limit, rate: None, busy: Mutex::default() })
    }

    /// Limits how many bytes a second are copied or checked, to leave the disk to others.
    #[must_use]
    pub fn with_rate(mut self, bytes_per_second: Option<u64>) -> Self {
        self.rate = bytes_per_second.filter(|&rate| rate > 0);
        self
    }

    /// Returns the folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.cache
    }

    /// Puts images into the cache, the most important first. The first one that does not fit ends it; images that are
    /// nowhere are passed over. Images that are not in the list make room, those not asked for longest first, then those
    /// of the list from its end; they are removed only when room is needed.
    ///
    /// # Errors
    /// [`ImageError`]; `caching` then says what is held all the same.
    pub fn cache(&self, list: &[ImageId], caching: &mut Caching, news: News<'_>) -> Result<(), ImageError> {
        let _busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut names, mut images) = (Vec::new(), Vec::new());
        for image in list {
            let name = file_name(image)?;
            if !names.contains(&name) {
                names.push(name);
                images.push(image.clone());
            }
        }
        let sizes: Vec<u64> = names.iter().map(|name| self.size(name)).collect();
        let mut meter = Meter::new(self.fitting(&sizes), self.rate, news);
        let (mut taken, mut full) = (0_u64, false);
        for (place, (image, size)) in images.into_iter().zip(sizes).enumerate() {
            full |= taken.saturating_add(size) > self.limit;
            let outcome = if full {
                // What an earlier list has left here is still held.
                self.look_at(&names[place], &mut meter)
            } else {
                self.take(&names, place, size, &mut meter)
            };
            match outcome.map_err(|stop| stop.of(&image))? {
                Outcome::Held => {
                    caching.held.push(image);
                    taken += size;
                }
                Outcome::Missing => caching.missing.push(image),
                Outcome::Full => full = true,
            }
        }
        Ok(())
    }

    /// Makes sure that an image is in the cache and intact; the others make room.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn prepare(&self, image: &ImageId, news: News<'_>) -> Result<(), ImageError> {
        let mut caching = Caching::default();
        self.cache(std::slice::from_ref(image), &mut caching, news)?;
        match (caching.held.is_empty(), caching.missing.is_empty()) {
            (false, _) => Ok(()),
            (true, false) => Err(ImageError::Missing(image.clone())),
            (true, true) => Err(ImageError::TooLarge(image.clone())),
        }
    }

    /// Whether there is a copy of it; it may be damaged.
    #[must_use]
    pub fn has(&self, image: &ImageId) -> bool {
        file_name(image)
            .is_ok_and(|name| self.digest_path(&name).is_file() && self.cache.join(name).is_file())
    }

    /// Returns how much of images of these sizes fits, in their order.
    fn fitting(&self, sizes: &[u64]) -> u64 {
        let mut total = 0_u64;
        for &size in sizes {
            match total.saturating_add(size) {
                more if more > self.limit => break,
                more => total = more,
            }
        }
        total
    }

    /// Makes sure of one image of the list.
    fn take(
        &self,
        names: &[String],
        place: usize,
        size: u64,
        meter: &mut Meter<'_>,
    ) -> Result<Outcome, Stop> {
        let name = &names[place];
        if self.is_intact(name, meter)? {
            // Asked for last, so that it is the last to go.
            let file = File::options().append(true).open(self.cache.join(name));
            let _ = file.and_then(|file| file.set_modified(SystemTime::now()));
            return Ok(Outcome::Held);
        }
        let Some(source) = self.source(name) else { return Ok(Outcome::Missing) };
        self.remove(name)?;
        while self.used()?.saturating_add(size) > self.limit {
            if !self.evict(names, place)? {
                return Ok(Outcome::Full);
            }
        }
        loop {
            match self.copy(&source, name, meter) {
                Ok(()) => return Ok(Outcome::Held),
                // The disk may be smaller than the limit.
                Err(Stop::Io(error)) if error.kind() == io::ErrorKind::StorageFull => {
                    if !self.evict(names, place)? {
                        return Ok(Outcome::Full);
                    }
                }
                Err(stop) => return Err(stop),
            }
        }
    }

    /// Says whether an image is held, and changes nothing.
    fn look_at(&self, name: &str, meter: &mut Meter<'_>) -> Result<Outcome, Stop> {
        Ok(match (self.is_intact(name, meter)?, self.source(name)) {
            (true, _) => Outcome::Held,
            (false, Some(_)) => Outcome::Full,
            (false, None) => Outcome::Missing,
        })
    }

    /// Checks a cached image against its digest.
    fn is_intact(&self, name: &str, meter: &mut Meter<'_>) -> Result<bool, Stop> {
        let Ok(noted) = fs::read_to_string(self.digest_path(name)) else { return Ok(false) };
        let Ok(mut file) = File::open(self.cache.join(name)) else { return Ok(false) };
        let size = file.metadata()?.len();
        let before = meter.progress;
        let digest = read_through(&mut file, meter, |_| Ok(()))?;
        let is_intact = noted.split_whitespace().next() == Some(digest.as_str());
        if !is_intact {
            tracing::warn!(image = name, "a cached image is damaged");
            meter.progress = before;
            meter.progress.total = meter.progress.total.saturating_add(size);
            meter.progress.done = meter.progress.done.saturating_add(size);
        }
        Ok(is_intact)
    }

    fn copy(&self, source: &Path, name: &str, meter: &mut Meter<'_>) -> Result<(), Stop> {
        let part = self.cache.join(format!(".{name}.part"));
        let before = meter.progress;
        let copied = copy_to(source, &part, meter).and_then(|digest| {
            fs::rename(&part, self.cache.join(name))?;
            self.note(name, &digest)?;
            Ok(sync_folder(&self.cache)?)
        });
        if copied.is_err() {
            let _ = fs::remove_file(&part);
            meter.progress = before;
        }
        copied
    }

    /// Writes the digest of a cached image beside it.
    fn note(&self, name: &str, digest: &str) -> io::Result<()> {
        let part = self.cache.join(format!(".{name}.sha256.part"));
        let mut file = File::create(&part)?;
        writeln!(file, "{digest}  {name}")?;
        file.sync_all()?;
        fs::rename(&part, self.digest_path(name))
    }

    /// Removes what is least worth keeping beside the list up to `place`; `false` if there is nothing to remove.
    fn evict(&self, names: &[String], place: usize) -> io::Result<bool> {
        let cached = self.cached()?;
        let unlisted = cached.iter().filter(|(name, _)| !names.contains(name));
        let oldest = unlisted.min_by_key(|(_, (_, modified))| *modified).map(|(name, _)| name);
        let last = || names[place + 1..].iter().rev().find(|name| cached.contains_key(*name));
        let Some(name) = oldest.or_else(last) else { return Ok(false) };
        tracing::info!(image = name, "removed to make room");
        self.remove(name)?;
        Ok(true)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        for path in [self.digest_path(name), self.cache.join(name)] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn used(&self) -> io::Result<u64> {
        Ok(self.cached()?.values().map(|(size, _)| size).sum())
    }

    /// Returns size and time of the cached images by name; with or without a digest, they take room.
    fn cached(&self) -> io::Result<BTreeMap<String, (u64, SystemTime)>> {
        let mut cached = BTreeMap::new();
        for entry in fs::read_dir(&self.cache)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let metadata = entry.metadata()?;
            if metadata.is_file() && ImageId::from(name.as_str()).is_uuid() {
                cached.insert(name, (metadata.len(), metadata.modified()?));
            }
        }
        Ok(cached)
    }

    /// Returns the size of an image, wherever it is; 0 if it is nowhere.
    fn size(&self, name: &str) -> u64 {
        let path = self.source(name).unwrap_or_else(|| self.cache.join(name));
        fs::metadata(path).map_or(0, |metadata| metadata.len())
    }

    fn source(&self, name: &str) -> Option<PathBuf> {
        // A store may have been filled by hand, in capitals.
        let spellings = [name.to_owned(), name.to_ascii_uppercase()];
        spellings.iter().map(|name| self.images.join(name)).find(|path| path.is_file())
    }

    fn digest_path(&self, name: &str) -> PathBuf {
        self.cache.join(format!("{name}.sha256"))
    }
}

/// What became of an image.
enum Outcome {
    Held,
    Missing,
    Full,
}

/// What ends work on an image early.
enum Stop {
    Io(io::Error),
    GivenUp,
}

impl Stop {
    fn of(self, image: &ImageId) -> ImageError {
        match self {
            Self::Io(error) => ImageError::Io { image: image.clone(), error },
            Self::GivenUp => ImageError::GivenUp,
        }
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Tells progress and keeps to the rate.
struct Meter<'a> {
    progress: Progress,
    rate: Option<u64>,
    started: Instant,
    passed: u64,
    news: News<'a>,
}

impl<'a> Meter<'a> {
    fn new(total: u64, rate: Option<u64>, news: News<'a>) -> Self {
        Self { progress: Progress { done: 0, total }, rate, started: Instant::now(), passed: 0, news }
    }

    fn pass(&mut self, bytes: usize) -> Result<(), Stop> {
        let bytes = bytes as u64;
        self.passed += bytes;
        self.progress.done += bytes;
        // A file may be longer than it was when it was looked at.
        self.progress.total = self.progress.total.max(self.progress.done);
        self.tell()?;
        let due = self
            .rate
            .map_or(Duration::ZERO, |rate| Duration::from_secs_f64(self.passed as f64 / rate as f64));
        while let Some(rest) = due.checked_sub(self.started.elapsed()).filter(|rest| !rest.is_zero()) {
            std::thread::sleep(rest.min(Duration::from_millis(50)));
            self.tell()?;
        }
        Ok(())
    }

    fn tell(&mut self) -> Result<(), Stop> {
        match (self.news)(self.progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Stop::GivenUp),
        }
    }
}

/// Copies a file, and makes the copy last; returns its digest.
fn copy_to(source: &Path, target: &Path, meter: &mut Meter<'_>) -> Result<String, Stop> {
    let mut target = File::create(target)?;
    let digest = read_through(&mut File::open(source)?, meter, |chunk| target.write_all(chunk))?;
    target.sync_all()?;
    Ok(digest)
}

/// Reads a file to its end in chunks; returns its digest.
fn read_through(
    file: &mut File,
    meter: &mut Meter<'_>,
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<String, Stop> {
    let mut digest = Sha256::new();
    // Small enough for progress several times a second.
    let most = meter.rate.map_or(CHUNK as u64, |rate| (rate / 20).clamp(4096, CHUNK as u64));
    let mut chunk = vec![0; most as usize];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hex::encode(digest.finalize())),
            length => {
                digest.update(&chunk[..length]);
                each(&chunk[..length])?;
                meter.pass(length)?;
            }
        }
    }
}

/// Returns the name that an image has as a file. Anything but a UUID could leave the folder.
fn file_name(image: &ImageId) -> Result<String, ImageError> {
    match image.as_str() {
        Some(name) if image.is_uuid() => Ok(name.to_ascii_lowercase()),
        _ => Err(ImageError::NotAUuid(image.clone())),
    }
}

/// Whether it is the name of a file of ours that was never finished.
fn is_part(name: &str) -> bool {
    let image = name.strip_prefix('.').and_then(|name| name.strip_suffix(".part"));
    image.is_some_and(|image| ImageId::from(image.strip_suffix(".sha256").unwrap_or(image)).is_uuid())
}

/// Makes renames in a folder last.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

const CHUNK: usize = 256 * 1024;
