//! Time zones: what clocks of a place show.
//!
//! A [`Zone`] is one of the bundled database (jiff's), so that every machine knows the same ones,
//! or a fixed offset. Where clocks are put forward, a time that they skip is read by the offset
//! before; where they are put back, one that they show twice is the later, as PostgreSQL has it.
//! Before clocks had zones it is the local mean time, with seconds (`mean_times`). Beyond the years that the
//! database counts (−9999 to 9999) the first offset stays, and the last rules repeat.
//!
//! Tests: below.

mod mean_times;

use std::fmt;
use std::sync::LazyLock;

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use velocitydb_types::{Interval, Timestamp};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// Seconds of 400 years, after which weeks and leap years repeat.
const CYCLE: i64 = 146_097 * 86_400;
/// Between these seconds the database has answers, whatever the offset: the years −9998 to 9998.
const FIRST: i64 = -377_673_000_000;
const LAST: i64 = 253_338_000_000;

/// Remembers the zones that were asked for.
static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    name: Box<str>,
    zone: TimeZone,
    /// Seconds east of Greenwich before a second, where the database has those of another place.
    mean: Option<(i32, i64)>,
}

impl Zone {
    /// Universal time.
    pub fn utc() -> Self {
        Self {
            name: "UTC".into(),
            zone: TimeZone::UTC,
            mean: None,
        }
    }

    /// The zone of a name such as `Europe/Berlin`, in any case; `None` when there is none.
    pub fn named(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("utc") {
            return Some(Self::utc());
        }
        let zone = DATABASE.get(name).ok()?;
        let name = zone.iana_name().unwrap_or(name);
        let mean = mean_times::mean_time(name);
        let name = name.into();
        Some(Self { name, zone, mean })
    }

    /// So many seconds east of Greenwich, named as PostgreSQL names it (`<+02>-02`); `None` beyond
    /// a day.
    pub fn fixed(seconds: i32) -> Option<Self> {
        let offset = Offset::from_seconds(seconds).ok()?;
        let (total, mut digits) = (seconds.unsigned_abs(), String::new());
        let (hours, minutes, rest) = (total / 3600, total / 60 % 60, total % 60);
        digits.push_str(&format!("{hours:02}"));
        if (minutes, rest) != (0, 0) {
            digits.push_str(&format!(":{minutes:02}"));
        }
        if rest != 0 {
            digits.push_str(&format!(":{rest:02}"));
        }
        let (east, west) = if seconds < 0 { ('-', '+') } else { ('+', '-') };
        Some(Self {
            name: format!("<{east}{digits}>{west}{digits}").into(),
            zone: TimeZone::fixed(offset),
            mean: None,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Every name that [`Self::named`] knows.
    pub fn names() -> impl Iterator<Item = String> {
        let names = DATABASE.available();
        names.map(|name| name.as_str().to_owned())
    }

    /// A moment that the database has an answer for, with the same offset.
    fn within(seconds: i64) -> i64 {
        match seconds {
            ..FIRST => FIRST,
            FIRST..LAST => seconds,
            _ => LAST - CYCLE + (seconds - LAST).rem_euclid(CYCLE),
        }
    }

    /// Seconds east of Greenwich at a moment.
    pub fn offset_at(&self, at: Timestamp) -> i32 {
        match (self.mean, self.known(at)) {
            (Some((offset, until)), _) if at.0.div_euclid(SECOND) < until => offset,
            (_, Some(at)) => self.zone.to_offset(at).seconds(),
            (_, None) => 0,
        }
    }

    /// Whether clocks are put forward at a moment, and what the offset is called.
    pub fn daylight_at(&self, at: Timestamp) -> (bool, String) {
        let info = self.known(at).map(|at| {
            let info = self.zone.to_offset_info(at);
            (info.dst().is_dst(), info.abbreviation().to_owned())
        });
        info.unwrap_or_default()
    }

    fn known(&self, at: Timestamp) -> Option<jiff::Timestamp> {
        let seconds = Self::within(at.0.div_euclid(SECOND));
        jiff::Timestamp::from_second(seconds).ok()
    }

    /// What clocks show at a moment, as the moment at which they show it in universal time; `None`
    /// when it is out of range.
    pub fn to_local(&self, at: Timestamp) -> Option<Timestamp> {
        let offset = i64::from(self.offset_at(at)) * SECOND;
        at.0.checked_add(offset).map(Timestamp)
    }

    /// The moment at which clocks show this; `None` when it is out of range.
    pub fn from_local(&self, local: Timestamp) -> Option<Timestamp> {
        if let Some((offset, until)) = self.mean
            && local.0.div_euclid(SECOND) - i64::from(offset) < until
        {
            return local
                .0
                .checked_sub(i64::from(offset) * SECOND)
                .map(Timestamp);
        }
        let seconds = Self::within(local.0.div_euclid(SECOND));
        let days = i32::try_from(seconds.div_euclid(86_400)).ok()?;
        let (year, month, day) = velocitydb_types::Date(days).ymd();
        let of_day = seconds.rem_euclid(86_400);
        let shown = DateTime::new(
            i16::try_from(year).ok()?,
            month as i8,
            day as i8,
            (of_day / 3600) as i8,
            (of_day / 60 % 60) as i8,
            (of_day % 60) as i8,
            0,
        );
        let at = self.zone.to_ambiguous_timestamp(shown.ok()?).later().ok()?;
        let offset = (seconds - at.as_second()) * SECOND;
        local.0.checked_sub(offset).map(Timestamp)
    }

    /// The moment an interval later: months and days by what clocks show, the rest by what passes;
    /// `None` when it is out of range.
    pub fn plus(&self, at: Timestamp, interval: Interval) -> Option<Timestamp> {
        let mut at = at;
        if interval.months != 0 {
            let moved = self.to_local(at)?.plus_months(interval.months.into())?;
            at = self.from_local(moved)?;
        }
        if interval.days != 0 {
            let moved = self.to_local(at)?.0;
            let moved = moved.checked_add(i64::from(interval.days).checked_mul(DAY)?)?;
            at = self.from_local(Timestamp(moved))?;
        }
        at.0.checked_add(interval.micros).map(Timestamp)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn offsets_follow_the_history_of_a_place() {
        let berlin = Zone::named("europe/berlin").unwrap();
        assert_eq!(berlin.name(), "Europe/Berlin");
        for (moment, seconds) in [
            ("0001-01-01T00:00:00Z", 3208),
            ("-12000-01-01T00:00:00Z", 3208),
            ("2026-01-01T00:00:00Z", 3600),
            ("2026-07-01T00:00:00Z", 7200),
            ("+20000-07-01T00:00:00Z", 7200),
            ("+20000-01-01T00:00:00Z", 3600),
        ] {
            let moment = at(moment);
            assert_eq!(berlin.offset_at(moment), seconds, "{moment}");
            let local = berlin.to_local(moment).unwrap();
            assert_eq!(berlin.from_local(local), Some(moment));
        }
        assert_eq!(
            berlin.daylight_at(at("2026-07-01T00:00:00Z")),
            (true, "CEST".to_owned())
        );
        for end in [Timestamp(i64::MAX), Timestamp(i64::MIN)] {
            berlin.offset_at(end);
            berlin.from_local(end);
        }
    }

    #[test]
    fn places_have_their_own_mean_time() {
        let stockholm = Zone::named("Europe/Stockholm").unwrap();
        for (moment, seconds) in [
            ("0001-01-01T00:00:00Z", 4332),
            ("1878-12-31T22:47:47Z", 4332),
            ("2026-07-01T00:00:00Z", 7200),
        ] {
            let moment = at(moment);
            assert_eq!(stockholm.offset_at(moment), seconds, "{moment}");
            let local = stockholm.to_local(moment).unwrap();
            assert_eq!(stockholm.from_local(local), Some(moment));
        }
    }

    #[test]
    fn times_that_clocks_skip_or_show_twice() {
        let zone = Zone::named("America/New_York").unwrap();
        let read = |text: &str| zone.from_local(at(text)).unwrap().to_string();
        // What PostgreSQL says.
        assert_eq!(read("2026-03-08T02:30:00Z"), "2026-03-08T07:30:00Z");
        assert_eq!(read("2026-11-01T01:30:00Z"), "2026-11-01T06:30:00Z");
    }

    #[test]
    fn days_are_those_of_clocks() {
        let zone = Zone::named("Europe/Berlin").unwrap();
        let before = at("2026-03-28T11:00:00Z");
        let after = |interval: &str| zone.plus(before, interval.parse().unwrap()).unwrap();
        assert_eq!(after("1 day").to_string(), "2026-03-29T10:00:00Z");
        assert_eq!(after("24 hours").to_string(), "2026-03-29T11:00:00Z");
        assert_eq!(after("1 mon").to_string(), "2026-04-28T10:00:00Z");
    }

    #[test]
    fn fixed_zones_have_postgresqls_names() {
        for (seconds, name) in [
            (7200, "<+02>-02"),
            (-19_800, "<-05:30>+05:30"),
            (0, "<+00>-00"),
        ] {
            let zone = Zone::fixed(seconds).unwrap();
            assert_eq!((zone.name(), zone.offset_at(Timestamp(0))), (name, seconds));
        }
        assert!(Zone::named("Europe/Atlantis").is_none());
        assert!(Zone::names().count() > 400);
    }
}
