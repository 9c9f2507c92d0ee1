//! Temperatures: `/sys/class/hwmon`.

use super::entries;
use ithiltir_proto::wire::{Sensor, SensorKind, Status, Thermal, Timestamp};
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

const SOURCE: &str = "hwmon";

/// Reads all sensors. `at` is the present.
pub(super) fn read(at: Timestamp) -> Thermal {
    let chips = entries("/sys/class/hwmon");
    let mut sensors: Vec<_> = chips.iter().flat_map(|chip| chip_sensors(chip)).collect();
    sensors.sort_by(|one, other| one.sensor_key.cmp(&other.sensor_key));
    Thermal { status: overall(&sensors), updated_at: Some(at), sensors: sensors.into() }
}

fn overall(sensors: &[Sensor]) -> Status {
    match sensors.first() {
        None => Status::NotFound,
        Some(_) if sensors.iter().any(|sensor| sensor.status == Status::Ok) => Status::Ok,
        Some(first) => first.status.clone(),
    }
}

fn chip_sensors(chip: &str) -> Vec<Sensor> {
    let mut directory = Path::new("/sys/class/hwmon").join(chip);
    // Some old drivers keep their files one level further down.
    if !directory.join("name").exists() {
        directory.push("device");
    }
    let driver = content(directory.join("name")).unwrap_or_default();
    let files = entries(&directory);
    let numbers = files.iter().filter_map(|file| file.strip_prefix("temp")?.strip_suffix("_input"));
    let sensor = |number| {
        let file = |what| content(directory.join(format!("temp{number}_{what}")));
        Reading {
            driver: &driver,
            label: &file("label").unwrap_or_default(),
            input: file("input"),
            high: &file("max").unwrap_or_default(),
            critical: &file("crit").unwrap_or_default(),
        }
        .sensor()
    };
    numbers.map(sensor).collect()
}

fn content(path: PathBuf) -> Result<String> {
    std::fs::read_to_string(path).map(|text| text.trim().to_owned())
}

/// The content of the files of one sensor.
#[derive(Debug)]
struct Reading<'a> {
    driver: &'a str,
    label: &'a str,
    input: Result<String>,
    high: &'a str,
    critical: &'a str,
}

impl Reading<'_> {
    fn sensor(self) -> Sensor {
        let key = key(self.driver, self.label);
        let temperature =
            self.input.and_then(|text| parse(&text).ok_or_else(|| Error::from(ErrorKind::InvalidData)));
        let limit = |text| parse(text).filter(|limit| *limit > 0.0);
        Sensor {
            kind: kind(self.driver),
            name: key.clone(),
            sensor_key: key,
            source: SOURCE.to_owned(),
            status: match &temperature {
                Ok(_) => Status::Ok,
                Err(error) if error.kind() == ErrorKind::PermissionDenied => Status::NoPermission,
                Err(_) => Status::Error,
            },
            temp_c: temperature.ok(),
            high_c: limit(self.high),
            critical_c: limit(self.critical),
        }
    }
}

/// Reads thousandths of a degree. Values that no sensor can measure stand for a limit or sensor that is not there.
fn parse(text: &str) -> Option<f64> {
    let thousandths: i32 = text.parse().ok()?;
    Some(f64::from(thousandths) / 1000.0).filter(|degrees| (-100.0..=1000.0).contains(degrees))
}

/// Returns the name of a sensor, as in `coretemp_package_id_0`.
fn key(driver: &str, label: &str) -> String {
    let driver = if driver.is_empty() { SOURCE } else { driver };
    let words = [driver, label].into_iter().flat_map(str::split_whitespace);
    words.collect::<Vec<_>>().join("_").to_lowercase()
}

fn kind(driver: &str) -> SensorKind {
    const DRIVERS: [(SensorKind, &[&str]); 5] = [
        (
            SensorKind::Cpu,
            &["coretemp", "k8temp", "k10temp", "zenpower", "cpu", "soc_thermal", "via_cputemp"],
        ),
        (SensorKind::Gpu, &["amdgpu", "radeon", "nouveau", "nvidia", "i915", "xe", "gpu"]),
        (SensorKind::Chipset, &["pch", "i5k_amb", "intel_5500"]),
        (SensorKind::Acpi, &["acpi"]),
        (
            SensorKind::Board,
            &["nct", "it86", "it87", "w83", "f718", "f719", "asus", "dell", "thinkpad", "sch56"],
        ),
    ];
    let known = |prefixes: &[&str]| prefixes.iter().any(|prefix| driver.starts_with(prefix));
    let found = DRIVERS.into_iter().find(|(_, prefixes)| known(prefixes));
    found.map_or(SensorKind::Unknown, |(kind, _)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sensor(driver: &str, label: &str, input: Result<&str>) -> Sensor {
        let (high, critical) = ("90000", "100000");
        Reading { driver, label, input: input.map(str::to_owned), high, critical }.sensor()
    }

    #[test]
    fn a_sensor_is_named_after_driver_and_label() {
        let package = sensor("coretemp", "Package id 0", Ok("52000"));
        assert_eq!((package.sensor_key.as_str(), &package.kind), ("coretemp_package_id_0", &SensorKind::Cpu));
        assert_eq!(
            (package.temp_c, package.high_c, package.critical_c),
            (Some(52.0), Some(90.0), Some(100.0))
        );
        assert_eq!(sensor("nct6775", "", Ok("38500")).sensor_key, "nct6775");
        assert_eq!(sensor("", "", Ok("38500")).name, "hwmon");
    }

    #[test]
    fn kinds_follow_the_driver() {
        let kinds = ["k10temp", "amdgpu", "pch_cannonlake", "acpitz", "nct6775", "nvme", ""].map(kind);
        let names: Vec<_> = kinds.iter().map(SensorKind::as_str).collect();
        assert_eq!(names, ["cpu", "gpu", "chipset", "acpi", "board", "unknown", "unknown"]);
    }

    #[test]
    fn a_sensor_that_does_not_answer_has_a_status() {
        let asleep = sensor("nvme", "Composite", Err(Error::other("no data")));
        assert_eq!((asleep.temp_c, &asleep.status), (None, &Status::Error));
        let locked = sensor("nvme", "Composite", Err(ErrorKind::PermissionDenied.into()));
        assert_eq!(locked.status, Status::NoPermission);
        assert_eq!(sensor("nvme", "", Ok("x")).status, Status::Error);
        let good = sensor("nvme", "", Ok("-5000"));
        assert_eq!(overall(&[asleep.clone(), good]), Status::Ok);
        assert_eq!(overall(&[locked]), Status::NoPermission);
        assert_eq!((overall(&[asleep]), overall(&[])), (Status::Error, Status::NotFound));
    }

    #[test]
    fn impossible_temperatures_are_none() {
        let texts = ["-273150", "65261850", "99999999999", "", "1e3", "NaN"];
        assert!(texts.into_iter().all(|text| parse(text).is_none()));
        let unlimited =
            Reading { driver: "nvme", label: "", input: Ok("1000".into()), high: "0", critical: "" }.sensor();
        assert_eq!((unlimited.temp_c, unlimited.high_c, unlimited.critical_c), (Some(1.0), None, None));
    }
}
