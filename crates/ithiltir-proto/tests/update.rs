//! Updates: validation beyond the vectors, the download check, installation steps, the Windows runner.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use ithiltir_proto::UrlError;
use ithiltir_proto::update::{
    Downgrade, Download, DownloadError, Layout, ManifestError, ManifestRules, Plan, Restart, RestartPolicy,
    StagedUpdate, StagedUpdateError, Step, ValidManifest, runner_delay,
};
use ithiltir_proto::wire::Manifest;
use std::time::Duration;

/// SHA-256 of `hello`.
const DIGEST: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

fn manifest() -> Manifest {
    Manifest {
        id: "release".into(),
        version: "1.2.3".into(),
        url: "https://dash.example/deploy/node?upgrade_token=t".into(),
        sha256: DIGEST.into(),
        size: 5,
    }
}

fn valid() -> ValidManifest {
    ValidManifest::new(&manifest(), "1.2.2", ManifestRules::default()).unwrap()
}

mod validation {
    use super::*;

    fn refused(change: impl FnOnce(&mut Manifest)) -> ManifestError {
        let mut changed = manifest();
        change(&mut changed);
        ValidManifest::new(&changed, "1.2.2", ManifestRules::default()).unwrap_err()
    }

    #[test]
    fn the_checks_come_in_the_stated_order() {
        let mut worst = Manifest { version: " ".into(), ..Manifest::default() };
        let mut next = |error| {
            assert_eq!(ValidManifest::new(&worst, "1.0.0", ManifestRules::default()), Err(error));
            match error {
                ManifestError::VersionBlank => worst.version = "a/b".into(),
                ManifestError::VersionPath => worst.version = "1.0.0".into(),
                ManifestError::Digest => worst.sha256 = DIGEST.to_uppercase(),
                ManifestError::Size => worst.size = 1,
                _ => worst.url = "http://h/".into(),
            }
        };
        next(ManifestError::VersionBlank);
        next(ManifestError::VersionPath);
        next(ManifestError::Digest);
        next(ManifestError::Size);
        next(ManifestError::Url(UrlError::Empty));
        assert!(ValidManifest::new(&worst, "1.0.0", ManifestRules::default()).is_ok());
    }

    #[test]
    fn a_digest_must_be_hex() {
        assert_eq!(refused(|manifest| manifest.sha256 = "g".repeat(64)), ManifestError::Digest);
        assert_eq!(refused(|manifest| manifest.sha256 = "\u{e9}".repeat(32)), ManifestError::Digest);
    }

    #[test]
    fn a_url_must_have_a_host_that_can_be_asked() {
        assert_eq!(
            refused(|manifest| manifest.url = "http://:8080/x".into()),
            ManifestError::Url(UrlError::NoHost)
        );
        assert_eq!(
            refused(|manifest| manifest.url = "http://h:99999/x".into()),
            ManifestError::Url(UrlError::PortRange)
        );
    }

    #[test]
    fn sizes_stop_one_short_of_the_largest_number() {
        assert_eq!(refused(|manifest| manifest.size = i64::MAX), ManifestError::Size);
        assert_eq!(refused(|manifest| manifest.size = i64::MIN), ManifestError::Size);
        let mut largest = manifest();
        largest.size = i64::MAX - 1;
        assert!(ValidManifest::new(&largest, "1.2.2", ManifestRules::default()).is_ok());
    }

    #[test]
    fn the_downgrade_guard_is_off_unless_asked_for() {
        let mut rules = ManifestRules::default();
        let check = |current: &str, rules| ValidManifest::new(&manifest(), current, rules).err();
        assert_eq!(check("9.0.0", rules), None);
        rules.downgrade = Downgrade::Refuse;
        assert_eq!(check("9.0.0", rules), Some(ManifestError::Downgrade));
        assert_eq!(check("banana", rules), Some(ManifestError::Downgrade), "nothing to compare with");
        assert_eq!(check("1.2.3+other", rules), None);
        assert_eq!(check("1.2.3-rc.1", rules), None);
    }

    #[test]
    fn a_token_in_the_url_does_not_show() {
        assert!(!format!("{:?} {:?}", manifest(), valid()).contains("upgrade_token"));
    }
}

#[test]
fn an_identical_third_manifest_does_not_clear_a_conflict() {
    let (a, mut b) = (manifest(), manifest());
    b.id = "other".into();
    assert_eq!(Plan::decide("0.1.0", [&a, &b, &a]), Plan::Conflict);
    assert_eq!(Plan::decide("0.1.0", [&a, &a]), Plan::Apply(0));
    assert_eq!(Plan::decide("1.2.3", [&a, &b]), Plan::Current);
    let blank = Manifest::default();
    assert_eq!(Plan::decide("", [&blank]), Plan::Apply(0), "a blank version is nobody's current one");
}

mod download {
    use super::*;

    fn fed(chunks: &[&[u8]]) -> Result<(), DownloadError> {
        let mut download = Download::new(&valid());
        for chunk in chunks {
            download.handle_chunk(chunk)?;
        }
        download.finish()
    }

    #[test]
    fn the_promised_bytes_pass_however_they_are_cut() {
        assert_eq!(fed(&[b"hello"]), Ok(()));
        assert_eq!(fed(&[b"", b"h", b"", b"ell", b"o"]), Ok(()));
    }

    #[test]
    fn one_byte_more_ends_it_at_once() {
        let mut download = Download::new(&valid());
        download.handle_chunk(b"hello").unwrap();
        assert_eq!(download.handle_chunk(b"!"), Err(DownloadError::TooLong { promised: 5 }));
        assert_eq!(download.finish(), Err(DownloadError::TooLong { promised: 5 }), "also for who goes on");
    }

    #[test]
    fn fewer_or_other_bytes_fail_at_the_end() {
        assert_eq!(fed(&[b"hell"]), Err(DownloadError::TooShort { received: 4, promised: 5 }));
        assert_eq!(fed(&[b"jello"]), Err(DownloadError::Digest));
    }

    #[test]
    fn only_200_starts_a_download() {
        for status in [201, 204, 206, 301, 302, 404] {
            let status = http::StatusCode::from_u16(status).unwrap();
            let refused = Download::new(&valid()).handle_head(status);
            assert_eq!(refused, Err(DownloadError::Status(status)));
        }
    }
}

mod installation {
    use super::*;

    #[test]
    fn a_release_is_downloaded_beside_the_others_and_then_made_current() {
        let layout = Layout::Releases { data_directory: "/d".into(), active: "1.2.2".into() };
        let installation = layout.installation(&valid(), RestartPolicy::Exit, 7).unwrap();
        let shown: Vec<_> = installation.steps.iter().map(|step| format!("{step:?}")).collect();
        assert_eq!(
            shown,
            [
                "CreateDirectory(/d/releases/1.2.3, 755)",
                "Download(/d/releases/1.2.3/.ithiltir-node-7.new, 755)",
                "Rename(/d/releases/1.2.3/.ithiltir-node-7.new, /d/releases/1.2.3/ithiltir-node)",
                "RemoveFile(/d/.current-7.tmp)",
                "Link(/d/releases/1.2.3, /d/.current-7.tmp)",
                "Rename(/d/.current-7.tmp, /d/current)",
                "Restart(Exit)"
            ]
        );
        let undone: Vec<_> = installation.on_failure.iter().map(|step| format!("{step:?}")).collect();
        assert_eq!(
            undone,
            [
                "RemoveFile(/d/releases/1.2.3/.ithiltir-node-7.new)",
                "RemoveFile(/d/.current-7.tmp)",
                "RemoveEmptyDirectory(/d/releases/1.2.3)"
            ]
        );
    }

    #[test]
    fn the_original_way_to_restart_is_a_setting() {
        let layout = Layout::Releases { data_directory: "/d".into(), active: String::new() };
        let installation = layout.installation(&valid(), RestartPolicy::Reexecute, 7).unwrap();
        let restart = Restart::Reexecute { executable: "/d/current/ithiltir-node".into() };
        assert_eq!(installation.steps.last(), Some(&Step::Restart(restart)));
    }

    #[test]
    fn the_active_release_is_left_alone() {
        let layout = Layout::Releases { data_directory: "/d".into(), active: "1.2.3".into() };
        assert_eq!(layout.installation(&valid(), RestartPolicy::Exit, 7), None);
    }

    #[test]
    fn on_windows_everything_is_staged_for_the_runner() {
        let layout = Layout::Runner { data_directory: r"C:\D".into() };
        let installation = layout.installation(&valid(), RestartPolicy::Exit, 7).unwrap();
        let shown: Vec<_> = installation.steps.iter().map(|step| format!("{step:?}")).collect();
        let Step::WriteFile { contents, .. } = &installation.steps[5] else { panic!("{shown:?}") };
        assert_eq!(
            shown,
            [
                r"CreateDirectory(C:\D\staging, 700)",
                r"RemoveFile(C:\D\staging\manifest.json)",
                r"RemoveFile(C:\D\staging\ithiltir-node.exe.new)",
                r"Download(C:\D\staging\7.new, 755)",
                r"Rename(C:\D\staging\7.new, C:\D\staging\ithiltir-node.exe.new)",
                &format!(r"WriteFile(C:\D\staging\7.json, 600, {} bytes)", contents.len()),
                r"Rename(C:\D\staging\7.json, C:\D\staging\manifest.json)",
                "Restart(Exit)"
            ]
        );
        let text = std::str::from_utf8(contents).unwrap();
        assert!(
            text.starts_with("{\n  \"id\": \"release\",\n  \"version\": \"1.2.3\",\n  \"url\": \"https:"),
            "{text}"
        );
    }
}

mod runner {
    use super::*;

    fn staged() -> StagedUpdate {
        StagedUpdate::from_manifest(&serde_json::to_vec(&manifest()).unwrap()).unwrap()
    }

    #[test]
    fn a_staged_executable_takes_the_place_of_the_installed_one() {
        let installation = staged().apply(b"hello", r"C:\D").unwrap();
        let shown: Vec<_> = installation
            .steps
            .iter()
            .chain(&installation.afterwards)
            .map(|step| format!("{step:?}"))
            .collect();
        assert_eq!(
            shown,
            [
                r"Rename(C:\D\bin\ithiltir-node.exe, C:\D\bin\ithiltir-node.exe.old)",
                r"Rename(C:\D\staging\ithiltir-node.exe.new, C:\D\bin\ithiltir-node.exe)",
                r"RemoveFile(C:\D\bin\ithiltir-node.exe.old)",
                r"RemoveFile(C:\D\staging\manifest.json)"
            ]
        );
        assert_eq!(installation.on_failure.len(), 1, "the old one comes back");
    }

    #[test]
    fn worthless_files_are_not_applied() {
        assert_eq!(staged().apply(b"jello", r"C:\D"), Err(StagedUpdateError::Digest));
        for text in ["", "{", "{}", r#"{"version":"1","sha256":" "}"#, r#"{"version":1}"#] {
            assert_eq!(
                StagedUpdate::from_manifest(text.as_bytes()),
                Err(StagedUpdateError::Manifest),
                "{text}"
            );
        }
        assert_eq!(StagedUpdate::discard("d").len(), 2);
    }

    #[test]
    fn the_wait_between_two_starts_doubles_up_to_32_seconds() {
        let waits: Vec<_> = (1..=8).map(|exits| runner_delay(exits).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 32, 32]);
        assert_eq!(runner_delay(u32::MAX), Duration::from_secs(32));
    }
}
