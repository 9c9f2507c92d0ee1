//! The cache on a real file system.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use std::fs;
use std::ops::ControlFlow;
use std::time::{Duration, SystemTime};
use support::{Folders, IMAGE, OTHER, THIRD};
use teeth_example::config_drive;
use teeth_example::images::{Cache, Caching, ImageError, Progress};
use teeth_proto::command::{ConfigDrive, ImageId};
use teeth_proto::wire::Object;

/// Caches a list; returns what is held, what is missing and the progress that was told.
fn cache(cache: &Cache, images: &[&str]) -> (Vec<String>, Vec<String>, Vec<Progress>) {
    let (mut caching, mut told) = (Caching::default(), Vec::new());
    let images: Vec<ImageId> = images.iter().map(|image| ImageId::from(*image)).collect();
    let mut news = |progress| {
        told.push(progress);
        ControlFlow::Continue(())
    };
    cache.cache(&images, &mut caching, &mut news).unwrap();
    let names = |images: Vec<ImageId>| images.iter().map(ToString::to_string).collect();
    (names(caching.held), names(caching.missing), told)
}

fn held(store: &Cache, images: &[&str]) -> Vec<String> {
    cache(store, images).0
}

/// Makes a cached image look as if it had been asked for that many hours ago.
fn age(folders: &Folders, image: &str, hours: u64) {
    let file = fs::File::options().append(true).open(folders.cache().join(image)).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(hours * 3600)).unwrap();
}

fn names(folders: &Folders) -> Vec<String> {
    let entries = fs::read_dir(folders.cache()).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn images_are_copied_and_their_digests_kept_beside_them() {
    let folders = Folders::new(&[(IMAGE, 3)]);
    fs::write(folders.images().join(IMAGE), "abc").unwrap();
    assert_eq!(held(&folders.open(None), &[IMAGE]), [IMAGE]);
    assert!(folders.is_cached(IMAGE));
    let digest = fs::read_to_string(folders.cache().join(format!("{IMAGE}.sha256"))).unwrap();
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(digest, format!("{expected}  {IMAGE}\n"));
    assert_eq!(names(&folders), [IMAGE.to_owned(), format!("{IMAGE}.sha256")]);
}

#[test]
fn progress_goes_from_chunk_to_chunk_to_the_whole() {
    let folders = Folders::new(&[(IMAGE, 600_000), (OTHER, 300_000)]);
    let (_, _, told) = cache(&folders.open(None), &[IMAGE, OTHER]);
    assert!(told.windows(2).all(|pair| pair[0].done <= pair[1].done), "{told:?}");
    assert!(told.len() >= 5 && told.iter().all(|progress| progress.total == 900_000), "{told:?}");
    assert_eq!(told.last().unwrap().done, 900_000);
}

#[test]
fn what_is_cached_and_intact_is_not_copied_again() {
    let folders = Folders::new(&[(IMAGE, 1000)]);
    let store = folders.open(None);
    held(&store, &[IMAGE]);
    // Were it copied again, it would be this.
    fs::write(folders.images().join(IMAGE), "another one").unwrap();
    assert_eq!(held(&store, &[IMAGE]), [IMAGE]);
    assert_eq!(fs::read(folders.cache().join(IMAGE)).unwrap().len(), 1000);
    // It is held also when the store no longer has it.
    fs::remove_file(folders.images().join(IMAGE)).unwrap();
    assert_eq!(held(&store, &[IMAGE]), [IMAGE]);
}

#[test]
fn a_damaged_image_is_copied_again() {
    let folders = Folders::new(&[(IMAGE, 100_000)]);
    let store = folders.open(None);
    held(&store, &[IMAGE]);
    let path = folders.cache().join(IMAGE);
    let mut bytes = fs::read(&path).unwrap();
    bytes[50_000] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(held(&store, &[IMAGE]), [IMAGE]);
    assert!(folders.is_cached(IMAGE));
    // One without a digest as well.
    fs::write(&path, "half an image").unwrap();
    fs::remove_file(folders.cache().join(format!("{IMAGE}.sha256"))).unwrap();
    assert_eq!(held(&store, &[IMAGE]), [IMAGE]);
    assert!(folders.is_cached(IMAGE));
}

#[test]
fn a_damaged_image_that_is_nowhere_else_is_missing() {
    let folders = Folders::new(&[(IMAGE, 1000)]);
    let store = folders.open(None);
    held(&store, &[IMAGE]);
    fs::write(folders.cache().join(IMAGE), "damaged").unwrap();
    fs::remove_file(folders.images().join(IMAGE)).unwrap();
    let (held, missing, _) = cache(&store, &[IMAGE]);
    assert_eq!((held, missing), (vec![], vec![IMAGE.to_owned()]));
}

#[test]
fn the_first_image_that_does_not_fit_ends_the_caching() {
    let folders = Folders::new(&[(IMAGE, 600), (OTHER, 500), (THIRD, 100)]);
    let store = folders.open(Some(1000));
    assert_eq!(held(&store, &[IMAGE, OTHER, THIRD]), [IMAGE]);
    assert!(!folders.is_cached(OTHER) && !folders.is_cached(THIRD));
    // To the byte.
    assert_eq!(held(&folders.open(Some(1100)), &[IMAGE, OTHER, THIRD]), [IMAGE, OTHER]);
}

#[test]
fn what_comes_after_the_limit_and_is_still_there_is_held() {
    let folders = Folders::new(&[(IMAGE, 600), (OTHER, 500), (THIRD, 100)]);
    let store = folders.open(Some(1000));
    held(&store, &[THIRD]);
    assert_eq!(held(&store, &[IMAGE, OTHER, THIRD]), [IMAGE, THIRD]);
}

#[test]
fn images_that_are_not_wanted_go_oldest_first_and_only_when_room_is_needed() {
    let folders = Folders::new(&[(IMAGE, 400), (OTHER, 400), (THIRD, 200)]);
    let store = folders.open(Some(1000));
    held(&store, &[IMAGE]);
    held(&store, &[OTHER]);
    age(&folders, IMAGE, 1);
    age(&folders, OTHER, 2);
    held(&store, &[THIRD]);
    assert!(folders.is_cached(IMAGE) && folders.is_cached(OTHER), "there was room");
    let fourth = "6f1c5a52-3c1e-4f0e-9d0a-000000000004";
    folders.write(fourth, 300);
    assert_eq!(held(&store, &[fourth]), [fourth]);
    assert!(folders.is_cached(IMAGE) && !folders.is_cached(OTHER) && folders.is_cached(THIRD));
}

#[test]
fn an_image_that_is_asked_for_again_is_no_longer_old() {
    let folders = Folders::new(&[(IMAGE, 400), (OTHER, 400), (THIRD, 400)]);
    let store = folders.open(Some(1000));
    held(&store, &[IMAGE, OTHER]);
    age(&folders, IMAGE, 2);
    age(&folders, OTHER, 1);
    held(&store, &[IMAGE]);
    held(&store, &[THIRD]);
    assert!(folders.is_cached(IMAGE) && !folders.is_cached(OTHER));
}

#[test]
fn less_important_images_of_the_list_make_room_for_more_important_ones() {
    let folders = Folders::new(&[(IMAGE, 400), (OTHER, 400), (THIRD, 400)]);
    let store = folders.open(Some(1000));
    held(&store, &[OTHER, THIRD]);
    assert_eq!(held(&store, &[IMAGE, OTHER, THIRD]), [IMAGE, OTHER]);
    assert!(!folders.is_cached(THIRD));
}

#[test]
fn an_image_that_fits_nowhere_removes_nothing() {
    let folders = Folders::new(&[(IMAGE, 400), (OTHER, 4000)]);
    let store = folders.open(Some(1000));
    held(&store, &[IMAGE]);
    assert_eq!(held(&store, &[OTHER]), [""; 0]);
    assert!(folders.is_cached(IMAGE));
    let error = store.prepare(&OTHER.into(), &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, ImageError::TooLarge(_)), "{error}");
}

#[test]
fn missing_images_are_passed_over_and_named() {
    let folders = Folders::new(&[(OTHER, 100)]);
    let store = folders.open(None);
    let (held, missing, _) = cache(&store, &[IMAGE, OTHER, THIRD]);
    assert_eq!((held, missing), (vec![OTHER.to_owned()], vec![IMAGE.to_owned(), THIRD.to_owned()]));
    let error = store.prepare(&IMAGE.into(), &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert_eq!(error.to_string(), format!("image {IMAGE} is not in the image store"));
}

#[test]
fn an_image_is_the_same_in_capitals_and_twice_in_a_list() {
    let folders = Folders::new(&[(IMAGE, 100)]);
    let capitals = IMAGE.to_uppercase();
    assert_eq!(held(&folders.open(None), &[&capitals, IMAGE]), [capitals.as_str()]);
    assert!(folders.is_cached(IMAGE));
}

#[test]
fn a_name_that_leaves_the_folder_is_no_image() {
    let folders = Folders::new(&[]);
    fs::write(folders.images().join("../secret"), "x").unwrap();
    for name in ["../secret", "", ".", "6f1c5a52-3c1e-4f0e-9d0a-00000000000/"] {
        let mut caching = Caching::default();
        let mut news = |_| ControlFlow::Continue(());
        let error = folders.open(None).cache(&[name.into()], &mut caching, &mut news).unwrap_err();
        assert!(matches!(error, ImageError::NotAUuid(_)), "{name}: {error}");
    }
    assert_eq!(names(&folders), [""; 0]);
}

#[test]
fn a_copy_that_is_given_up_leaves_nothing_behind() {
    let folders = Folders::new(&[(IMAGE, 1_000_000)]);
    let mut caching = Caching::default();
    let mut news = |_| ControlFlow::Break(());
    let error = folders.open(None).cache(&[IMAGE.into()], &mut caching, &mut news).unwrap_err();
    assert!(matches!(error, ImageError::GivenUp), "{error}");
    assert_eq!(names(&folders), [""; 0]);
}

#[test]
fn unfinished_copies_of_an_earlier_run_are_removed_and_nothing_else() {
    let folders = Folders::new(&[]);
    fs::create_dir(folders.cache()).unwrap();
    for name in [format!(".{IMAGE}.part"), format!(".{IMAGE}.sha256.part"), ".notes.part".into(), "a".into()]
    {
        fs::write(folders.cache().join(name), "x").unwrap();
    }
    folders.open(None);
    assert_eq!(names(&folders), [".notes.part", "a"]);
}

#[test]
fn the_store_of_images_is_never_taken_for_the_cache() {
    let folders = Folders::new(&[(IMAGE, 10)]);
    assert!(Cache::open(&folders.images(), &folders.images().join("../images"), Some(1)).is_err());
}

fn drive(settings: &str) -> ConfigDrive {
    ConfigDrive::new(Object::parse(settings).unwrap())
}

#[test]
fn a_config_drive_takes_the_place_of_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let first = drive(r#"{"metadata": {"name": "one"}, "user_data": "script", "files": {"a/b": "c"}}"#);
    let path = config_drive::write(folder.path(), &first).unwrap();
    assert_eq!(path, folder.path().join("config-drive"));
    let read = |file: &str| fs::read_to_string(path.join(file)).ok();
    assert_eq!(read("openstack/latest/meta_data.json").as_deref(), Some(r#"{"name": "one"}"#));
    assert_eq!(read("openstack/latest/user_data").as_deref(), Some("script"));
    assert_eq!(read("a/b").as_deref(), Some("c"));

    config_drive::write(folder.path(), &drive(r#"{"metadata": {"name": "two"}}"#)).unwrap();
    assert_eq!(read("openstack/latest/meta_data.json").as_deref(), Some(r#"{"name": "two"}"#));
    assert_eq!((read("openstack/latest/user_data"), read("a/b")), (None, None));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn settings_that_cannot_be_written_leave_the_drive_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    config_drive::write(folder.path(), &drive(r#"{"files": {"a": "b"}}"#)).unwrap();
    let error = config_drive::write(folder.path(), &drive(r#"{"files": {"../a": "x"}}"#)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert_eq!(fs::read_to_string(folder.path().join("config-drive/a")).unwrap(), "b");
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_a_config_drive() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = config_drive::write(folder.path(), &drive(r#"{"user_data": "key"}"#)).unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&path.join("openstack/latest/user_data")), 0o600);
}
