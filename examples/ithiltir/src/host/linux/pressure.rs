//! Pressure stall information: `/proc/pressure`.

use ithiltir_proto::wire::{Pressure, PressureGroup, PressureResource, Status};
use std::io::ErrorKind;

pub(super) fn read() -> Pressure {
    Pressure {
        cpu: resource("/proc/pressure/cpu"),
        memory: resource("/proc/pressure/memory"),
        io: resource("/proc/pressure/io"),
    }
}

fn resource(path: &str) -> PressureResource {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text),
        // A kernel that was started with `psi=0` has the files and answers that it does not support them.
        Err(error) => without_groups(match error.kind() {
            ErrorKind::NotFound | ErrorKind::Unsupported => Status::Unsupported,
            ErrorKind::PermissionDenied => Status::NoPermission,
            _ => Status::Error,
        }),
    }
}

fn parse(text: &str) -> PressureResource {
    let groups = parse_line(text, "some ").and_then(|some| Ok((some, parse_line(text, "full ")?)));
    match groups {
        Ok((None, None)) => without_groups(Status::NotFound),
        Ok((some, full)) => PressureResource { status: Status::Ok, some, full },
        Err(Malformed) => without_groups(Status::Error),
    }
}

fn without_groups(status: Status) -> PressureResource {
    PressureResource { status, some: None, full: None }
}

/// A line is there and lacks a number.
struct Malformed;

fn parse_line(text: &str, start: &str) -> Result<Option<PressureGroup>, Malformed> {
    let Some(line) = text.lines().find_map(|line| line.strip_prefix(start)) else {
        return Ok(None);
    };
    let group = || {
        Some(PressureGroup {
            avg10: percent(line, "avg10")?,
            avg60: percent(line, "avg60")?,
            avg300: percent(line, "avg300")?,
            total: value(line, "total")?.parse().ok()?,
        })
    };
    group().map(Some).ok_or(Malformed)
}

fn percent(line: &str, name: &str) -> Option<f64> {
    value(line, name)?.parse().ok().filter(|percent: &f64| percent.is_finite())
}

fn value<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let pairs = line.split_whitespace().filter_map(|word| word.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_groups_are_read() {
        let resource = parse(
            "some avg10=0.00 avg60=0.12 avg300=0.17 total=6957402\nfull avg10=1.50 avg60=0.00 avg300=0.00 total=0\n",
        );
        assert_eq!(resource.status, Status::Ok);
        let some = PressureGroup { avg10: 0.0, avg60: 0.12, avg300: 0.17, total: 6_957_402 };
        assert_eq!(resource.some, Some(some));
        assert_eq!(resource.full.unwrap().avg10, 1.5);
    }

    #[test]
    fn an_old_kernel_has_no_full_line_for_processors() {
        let resource = parse("some avg10=0.00 avg60=0.12 avg300=0.17 total=1\n");
        assert_eq!((resource.status, resource.some.is_some(), resource.full), (Status::Ok, true, None));
    }

    #[test]
    fn without_values_there_is_a_status_only() {
        assert_eq!(parse(""), without_groups(Status::NotFound));
        assert_eq!(parse("other avg10=0.00\n"), without_groups(Status::NotFound));
        assert_eq!(parse("some avg10=nan avg60=0 avg300=0 total=1\n"), without_groups(Status::Error));
        assert_eq!(parse("some avg10=0 avg60=0 avg300=0\n"), without_groups(Status::Error));
        assert_eq!(resource("/proc/pressure/none"), without_groups(Status::Unsupported));
    }
}
