//! What follows from two answers about the master itself. §3.

use crate::wire::Info;
use std::time::Duration;
use web_time::Instant;

/// Bytes a second on average since the answer before; `None` if that cannot be said: of the first answer, where a counter
/// is missing or negative, and where it has fallen because the machine was started again.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct InfoRates {
    /// Received from networks.
    pub netrx: Option<f64>,
    /// Sent to networks.
    pub nettx: Option<f64>,
    /// Read from disks.
    pub diskr: Option<f64>,
    /// Written to disks.
    pub diskw: Option<f64>,
}

/// The latest answer, with when it came.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) info: Box<Info>,
    pub(super) at: Instant,
}

/// What an answer says beyond itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct News {
    pub(super) rates: InfoRates,
    pub(super) has_restarted: bool,
    /// From this version to that one.
    pub(super) version: Option<(Box<str>, Box<str>)>,
}

/// Both uptimes are cut off to seconds.
const ROUNDING: i64 = 1;

impl News {
    pub(super) fn of(before: Option<&Known>, info: &Info, now: Instant) -> Self {
        let Some(Known { info: before, at }) = before else { return Self::default() };
        let elapsed = now.saturating_duration_since(*at);
        let uptimes = known(before.uptime).zip(known(info.uptime));
        let version = before.ver.clone().zip(info.ver.clone()).filter(|(from, to)| from != to);
        Self {
            rates: InfoRates {
                netrx: rate(before.netrx, info.netrx, elapsed),
                nettx: rate(before.nettx, info.nettx, elapsed),
                diskr: rate(before.diskr, info.diskr, elapsed),
                diskw: rate(before.diskw, info.diskw, elapsed),
            },
            has_restarted: uptimes.is_some_and(|(from, to)| to.saturating_add(ROUNDING) < from),
            version,
        }
    }
}

/// Masters say -1 of what they cannot get.
fn known(figure: Option<i64>) -> Option<i64> {
    figure.filter(|figure| *figure >= 0)
}

#[expect(clippy::cast_precision_loss, reason = "no rate is that exact")]
fn rate(from: Option<i64>, to: Option<i64>, elapsed: Duration) -> Option<f64> {
    let bytes = known(known(to)?.checked_sub(known(from)?))?;
    (!elapsed.is_zero()).then(|| bytes as f64 / elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_bytes_a_second_and_never_negative() {
        let info = |netrx, diskr| Box::new(Info { netrx: Some(netrx), diskr, ..Info::default() });
        let start = testkit::epoch();
        let before = Known { info: info(1_000, Some(5_000)), at: start };
        let now = start + Duration::from_secs(10);
        let rates = |info: &Info, now| News::of(Some(&before), info, now).rates;
        assert_eq!(rates(&info(1_500, Some(5_000)), now).netrx, Some(50.0));
        assert_eq!(rates(&info(1_500, Some(5_000)), now).diskr, Some(0.0));
        assert_eq!(rates(&info(10, None), now), InfoRates::default(), "the machine was started again");
        assert_eq!(rates(&info(1_500, None), start).netrx, None, "no time has passed");
        assert_eq!(rates(&info(-1, Some(-1)), now), InfoRates::default(), "the master does not know");
        assert_eq!(News::of(None, &info(1, None), now), News::default());
        let before = Known { info: info(-1, Some(i64::MIN)), at: start };
        assert_eq!(News::of(Some(&before), &info(9, Some(i64::MAX)), now).rates, InfoRates::default());
    }
}
