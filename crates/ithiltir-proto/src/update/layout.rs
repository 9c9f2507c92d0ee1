//! Where a node is installed.

/// The facts about a process that decide whether it may update itself. Paths are text in the system's own spelling.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a program fills in every fact it knows")]
pub struct Environment<'a> {
    /// `linux`, `macos`, `windows` or another, as [`std::env::consts::OS`] says it.
    pub os: &'a str,
    /// Value of the variable `ITHILTIR_NODE_RUNNER`, if set.
    pub runner: Option<&'a str>,
    /// Absolute path of the running executable. Linux reports it with links resolved.
    pub executable: &'a str,
    /// The data directory; [`Layout::default_data_directory`] unless the program was told another.
    pub data_directory: &'a str,
    /// Where `current` in the data directory points to, if it is a symbolic link.
    pub current_link: Option<&'a str>,
}

/// An installation that may be updated.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a third layout has to break the programs that install")]
pub enum Layout {
    /// Linux and macOS: a directory for each release, and a link to the active one.
    Releases {
        /// The data directory.
        data_directory: String,
        /// Name of the active release's directory.
        active: String,
    },
    /// Windows: a runner that starts the node and replaces it between two starts.
    Runner {
        /// The data directory.
        data_directory: String,
    },
}

/// Name of the executable in a release's directory.
pub(super) const EXECUTABLE: &str = "ithiltir-node";

impl Layout {
    /// Returns the layout that the process runs in; `None` if it may not update itself.
    ///
    /// Windows: the runner's variable is `1`. Linux and macOS: the executable is `releases/<name>/ithiltir-node`
    /// in the data directory, or `current/ithiltir-node` there while `current` is a link to such a release.
    #[must_use]
    pub fn detect(environment: &Environment<'_>) -> Option<Self> {
        let data_directory = environment.data_directory.to_owned();
        match environment.os {
            "windows" => (environment.runner == Some("1")).then_some(Self::Runner { data_directory }),
            "linux" | "macos" | "darwin" => {
                let active = active_release(environment)?.to_owned();
                Some(Self::Releases { data_directory, active })
            }
            _ => None,
        }
    }

    /// Returns the data directory of an operating system: `%ProgramData%\Ithiltir-node` on Windows, where the
    /// variable's value may be given, `/var/lib/ithiltir-node` elsewhere.
    #[must_use]
    pub fn default_data_directory(os: &str, program_data: Option<&str>) -> String {
        match os {
            "windows" => {
                let root = program_data.map(str::trim).filter(|root| !root.is_empty());
                format!(r"{}\Ithiltir-node", root.unwrap_or(r"C:\ProgramData"))
            }
            _ => "/var/lib/ithiltir-node".to_owned(),
        }
    }
}

fn active_release<'a>(environment: &Environment<'a>) -> Option<&'a str> {
    let inside = strip_directory(environment.executable, environment.data_directory)?;
    if inside == ["current", EXECUTABLE] {
        let link = environment.current_link?;
        let inside = resolved(link, environment.data_directory)?;
        return match inside[..] {
            ["releases", name] => Some(name),
            _ => None,
        };
    }
    match inside[..] {
        ["releases", name, EXECUTABLE] => Some(name),
        _ => None,
    }
}

/// Returns the segments below the data directory of a link's target, which is taken from there if it is relative.
fn resolved<'a>(link: &'a str, directory: &'a str) -> Option<Vec<&'a str>> {
    let mut path: Vec<&str> = if link.starts_with('/') { Vec::new() } else { segments(directory).collect() };
    for segment in segments(link) {
        if segment == ".." {
            path.pop();
        } else {
            path.push(segment);
        }
    }
    let directory: Vec<_> = segments(directory).collect();
    path.strip_prefix(&directory[..]).map(<[_]>::to_vec)
}

/// Returns the segments of a path below a directory; none for a path with `..`, whose place is not certain.
fn strip_directory<'a>(path: &'a str, directory: &str) -> Option<Vec<&'a str>> {
    let mut path = path.starts_with('/').then(|| segments(path))?;
    for segment in segments(directory) {
        if path.next()? != segment {
            return None;
        }
    }
    let inside: Vec<_> = path.collect();
    (!inside.contains(&"..")).then_some(inside)
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !matches!(*segment, "" | "."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn active(executable: &str, current_link: Option<&str>) -> Option<String> {
        let data_directory = "/var/lib/ithiltir-node";
        let environment = Environment { os: "linux", runner: None, executable, data_directory, current_link };
        match Layout::detect(&environment)? {
            Layout::Releases { active, .. } => Some(active),
            Layout::Runner { .. } => None,
        }
    }

    #[test]
    fn a_release_directory_is_managed() {
        let in_release = "/var/lib/ithiltir-node/releases/0.2.3/ithiltir-node";
        assert_eq!(active(in_release, None).as_deref(), Some("0.2.3"));
        let current = "/var/lib/ithiltir-node/current/ithiltir-node";
        assert_eq!(active(current, Some("releases/0.2.3")).as_deref(), Some("0.2.3"));
        assert_eq!(active(current, Some("/var/lib/ithiltir-node/releases/0.2.4/")).as_deref(), Some("0.2.4"));
        assert_eq!(active(current, Some("../ithiltir-node/releases/x/../0.2.5")).as_deref(), Some("0.2.5"));
    }

    #[test]
    fn anything_else_is_not_managed() {
        let current = "/var/lib/ithiltir-node/current/ithiltir-node";
        for (executable, link) in [
            (current, None), // a real directory
            (current, Some("/opt/releases/0.2.3")),
            (current, Some("releases/0.2.3/deeper")),
            (current, Some("releases")),
            (current, Some("releases/..")),
            ("/var/lib/ithiltir-node/releases/0.2.3/node", None),
            ("/var/lib/ithiltir-node/releases/ithiltir-node", None),
            ("/var/lib/ithiltir-node/releases/a/b/ithiltir-node", None),
            ("/var/lib/ithiltir-node/releases/../ithiltir-node", None),
            ("/usr/bin/ithiltir-node", None),
            ("ithiltir-node", None),
        ] {
            assert_eq!(active(executable, link), None, "{executable} {link:?}");
        }
    }

    #[test]
    fn windows_is_managed_by_its_runner_alone() {
        let environment = |runner| Environment {
            os: "windows",
            runner,
            executable: r"C:\x.exe",
            data_directory: r"C:\ProgramData\Ithiltir-node",
            current_link: None,
        };
        assert!(Layout::detect(&environment(Some("1"))).is_some());
        for runner in [None, Some(""), Some("0"), Some("true")] {
            assert_eq!(Layout::detect(&environment(runner)), None);
        }
        assert_eq!(Layout::detect(&Environment { os: "freebsd", ..environment(Some("1")) }), None);
    }

    #[test]
    fn data_directories_are_those_of_the_original() {
        assert_eq!(Layout::default_data_directory("linux", Some("x")), "/var/lib/ithiltir-node");
        assert_eq!(Layout::default_data_directory("windows", None), r"C:\ProgramData\Ithiltir-node");
        assert_eq!(Layout::default_data_directory("windows", Some("")), r"C:\ProgramData\Ithiltir-node");
        assert_eq!(Layout::default_data_directory("windows", Some(r"D:\PD")), r"D:\PD\Ithiltir-node");
    }
}
