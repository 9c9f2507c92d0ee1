//! The distribution: `/etc/os-release` and `/etc/debian_version`.

use super::text;

/// Returns the distribution and its version, as in `debian` and `12.11`; blank where unknown.
pub(super) fn platform() -> (String, String) {
    let release = match text("/etc/os-release") {
        missing if missing.is_empty() => text("/usr/lib/os-release"),
        release => release,
    };
    parse(&release, &text("/etc/debian_version"))
}

fn parse(release: &str, debian_version: &str) -> (String, String) {
    let platform = value(release, "ID").unwrap_or_default();
    // Debian tells its point release in a file of its own, which names a suite where there is no release yet.
    let point_release = Some(debian_version.trim())
        .filter(|version| platform == "debian" && version.starts_with(|first: char| first.is_ascii_digit()));
    // Distributions without releases have a build only.
    let version =
        point_release.or_else(|| value(release, "VERSION_ID")).or_else(|| value(release, "BUILD_ID"));
    (platform.to_owned(), version.unwrap_or_default().to_owned())
}

fn value<'a>(release: &'a str, name: &str) -> Option<&'a str> {
    let pairs = release.lines().filter_map(|line| line.trim().split_once('='));
    let mut values =
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| value.trim().trim_matches(['"', '\'']));
    values.next_back().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(release: &str, debian_version: &str) -> [String; 2] {
        parse(release, debian_version).into()
    }

    #[test]
    fn debian_has_a_point_release() {
        let release = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n";
        assert_eq!(names(release, "12.11\n"), ["debian", "12.11"]);
        assert_eq!(names(release, "trixie/sid\n"), ["debian", "12"]);
        assert_eq!(names("ID=debian\n", "trixie/sid\n"), ["debian", ""]);
    }

    #[test]
    fn others_have_the_version_or_build_of_the_file() {
        assert_eq!(names("ID=ubuntu\nVERSION_ID='24.04'\n", "trixie/sid\n"), ["ubuntu", "24.04"]);
        assert_eq!(names("ID=arch\nBUILD_ID=rolling\n", ""), ["arch", "rolling"]);
        assert_eq!(names("# none\nID\nVERSION_ID=\n", ""), ["", ""]);
    }
}
