//! Texts of dates and moments, as PostgreSQL reads them: `2026-11-30 12:00:00+01`, `Nov 30, 2026
//! 12:00 PM Europe/Berlin`, `20261130T120000Z`, `J2461375`, `30/11/2026`, `44-03-15 BC`, `today`.
//!
//! Most texts are of one form, which is read at once. Of others each word fills in one part; a part that is said twice, and one that is missing, make the text
//! no moment.

use velocitydb_query::Zone;
use velocitydb_types::Date;
use velocitydb_types::date_words::{DateWord, DateWordKind, date_words, is_weekday, month_of};

use super::super::abbreviations;
use super::super::error::FormatError;
use super::super::{DateOrder, Settings};

const SECOND: i64 = 1_000_000;

/// What a text says.
pub(super) struct Read {
    pub(super) at: At,
    /// Behind midnight.
    pub(super) micros: i64,
    pub(super) zone: Option<ReadZone>,
}

/// The day of a text, or all of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// Days from 1970-01-01.
    Day(i64),
    /// The beginning of the transaction.
    Now,
    /// 1970-01-01, universal time.
    Epoch,
}

/// The zone of a text.
pub(super) enum ReadZone {
    /// Seconds east of Greenwich.
    Offset(i32),
    /// One with a name.
    Named(Box<Zone>),
}

/// Why a text is no moment.
pub(super) enum Failure {
    Syntax,
    /// A part that there is not, such as the 31st of April.
    Field,
    /// The same, and another order of days and months may be meant.
    MonthDay,
    /// An offset of more than a day.
    Offset,
    /// A name of no zone.
    Zone(String),
    /// Infinity.
    Infinite,
}

impl Failure {
    /// In PostgreSQL's words.
    pub(super) fn error(self, text: &str, name: &str) -> FormatError {
        let field = format!("date/time field value out of range: \"{text}\"");
        match self {
            Self::Syntax => FormatError {
                code: "22007",
                ..FormatError::syntax(name, text)
            },
            Self::Field => FormatError::new("22008", field),
            Self::MonthDay => FormatError::new("22008", field)
                .with_detail("Perhaps you need a different \"datestyle\" setting."),
            Self::Offset => {
                let message = format!("time zone displacement out of range: \"{text}\"");
                FormatError::new("22009", message)
            }
            Self::Zone(zone) => {
                FormatError::new("22023", format!("time zone \"{zone}\" not recognized"))
            }
            Self::Infinite => {
                FormatError::new("0A000", format!("infinite {name}s are not supported"))
            }
        }
    }
}

/// What of a moment has been said.
struct Parts<'s> {
    settings: &'s Settings,
    year: Option<i64>,
    /// Whether the year has two digits, and so means one of this century or the last.
    is_short_year: bool,
    month: Option<i64>,
    has_text_month: bool,
    day: Option<i64>,
    day_of_year: Option<i64>,
    /// The day, said otherwise.
    whole: Option<At>,
    micros: Option<i64>,
    zone: Option<ReadZone>,
    is_before: Option<bool>,
    is_afternoon: Option<bool>,
}

/// What the word before said of the one to come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Any,
    /// After a `T`: a time.
    Time,
    /// After a `J`: a count of days.
    Julian,
}

/// What most texts are: `2026-11-30 12:34:56.789+01:00`, with a `T` or a space, with `Z`, another
/// zone of full hours and minutes, or none. `None` of any other, which may be a moment too.
fn plain(text: &str) -> Option<Read> {
    let (date, rest) = text.as_bytes().split_first_chunk::<10>()?;
    let number = |digits: &[u8]| {
        let is_number = digits.iter().all(u8::is_ascii_digit);
        is_number.then(|| {
            digits
                .iter()
                .fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'))
        })
    };
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *date else {
        return None;
    };
    let year = number(&[y1, y2, y3, y4]).filter(|year| *year > 0)?;
    let (month, day) = (number(&[m1, m2])? as u32, number(&[d1, d2])? as u32);
    let at = At::Day(Date::from_ymd(year, month, day).ok()?.0.into());
    if rest.is_empty() {
        return Some(Read {
            at,
            micros: 0,
            zone: None,
        });
    }
    let (time, rest) = rest.split_first_chunk::<9>()?;
    let [b' ' | b'T', h1, h2, b':', m1, m2, b':', s1, s2] = *time else {
        return None;
    };
    let (fraction, rest) = match rest {
        [b'.', digits @ ..] => {
            let count = digits
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            let (digits, rest) = digits.split_at(count);
            // More are rounded, which is not for here.
            let digits = (1..=6).contains(&count).then_some(digits)?;
            (number(digits)? * 10_i64.pow(6 - count as u32), rest)
        }
        rest => (0, rest),
    };
    let parts = [number(&[h1, h2])?, number(&[m1, m2])?, number(&[s1, s2])?];
    let micros = micros_of(parts[0], parts[1], parts[2], fraction).ok()?;
    let zone = match *rest {
        [] => None,
        [b'Z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, ref minutes @ ..] => {
            let minutes = match minutes {
                [] => 0,
                [b':', minutes @ ..] if minutes.len() == 2 => number(minutes)?,
                _ => return None,
            };
            let hours = number(&[h1, h2])?;
            let seconds = (hours <= 15 && minutes <= 59).then_some(hours * 3600 + minutes * 60)?;
            Some(if sign == b'-' { -seconds } else { seconds })
        }
        _ => return None,
    };
    let zone = zone.map(|seconds| ReadZone::Offset(seconds as i32));
    Some(Read { at, micros, zone })
}

pub(super) fn read(text: &str, settings: &Settings) -> Result<Read, Failure> {
    match plain(text) {
        Some(read) => Ok(read),
        None => by_words(text, settings),
    }
}

fn by_words(text: &str, settings: &Settings) -> Result<Read, Failure> {
    let words = date_words(text).ok_or(Failure::Syntax)?;
    let mut parts = Parts {
        settings,
        year: None,
        is_short_year: false,
        month: None,
        has_text_month: false,
        day: None,
        day_of_year: None,
        whole: None,
        micros: None,
        zone: None,
        is_before: None,
        is_afternoon: None,
    };
    let mut next = Next::Any;
    for (at, word) in words.iter().enumerate() {
        next = parts.word(word, next, words.get(at + 1))?;
    }
    match next {
        Next::Any => parts.finish(),
        _ => Err(Failure::Syntax),
    }
}

/// Keeps a part that has not been said yet.
fn once<T>(part: &mut Option<T>, value: T) -> Result<(), Failure> {
    match part.replace(value) {
        None => Ok(()),
        Some(_) => Err(Failure::Syntax),
    }
}

fn digits(text: &str) -> Result<i64, Failure> {
    match text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        true => text
            .parse::<i32>()
            .map(i64::from)
            .map_err(|_| Failure::Field),
        false => Err(Failure::Syntax),
    }
}

/// The microseconds of a fraction that begins with its point.
fn fraction(text: &str) -> Result<i64, Failure> {
    match text.as_bytes() {
        [] | [b'.'] => Ok(0),
        [_, rest @ ..] if rest.iter().all(u8::is_ascii_digit) => {
            let fraction: f64 = text.parse().map_err(|_| Failure::Syntax)?;
            Ok((fraction * 1e6).round_ties_even() as i64)
        }
        _ => Err(Failure::Syntax),
    }
}

impl Parts<'_> {
    fn has_date(&self) -> bool {
        self.whole.is_some() || (self.year.is_some() && self.month.is_some() && self.day.is_some())
    }

    fn word(
        &mut self,
        word: &DateWord,
        next: Next,
        after: Option<&DateWord>,
    ) -> Result<Next, Failure> {
        let text = word.text.as_str();
        match word.kind {
            _ if next == Next::Julian => self.julian(text)?,
            DateWordKind::Date => {
                let has_day = self.whole.is_some() || (self.month.is_some() && self.day.is_some());
                let is_number = text.starts_with(|c: char| c.is_ascii_digit());
                match (has_day || next == Next::Time, is_number) {
                    (false, _) => self.date(text)?,
                    (true, true) => {
                        let (time, offset) = text.split_at(text.find('-').ok_or(Failure::Syntax)?);
                        once(&mut self.zone, ReadZone::Offset(offset_of(offset)?))?;
                        self.run_together(time)?;
                    }
                    (true, false) => {
                        let unknown = || Failure::Zone(text.to_owned());
                        let zone = Zone::named(text).ok_or_else(unknown)?;
                        once(&mut self.zone, ReadZone::Named(zone.into()))?;
                    }
                }
            }
            DateWordKind::Time => once(&mut self.micros, time_of(text)?)?,
            DateWordKind::Signed => once(&mut self.zone, ReadZone::Offset(offset_of(text)?))?,
            DateWordKind::Number if next == Next::Time => self.run_together(text)?,
            DateWordKind::Number => self.number(text)?,
            DateWordKind::Letters | DateWordKind::SignedLetters => {
                return self.letters(text, after);
            }
        }
        Ok(Next::Any)
    }

    fn letters(&mut self, text: &str, after: Option<&DateWord>) -> Result<Next, Failure> {
        match text {
            "now" => {
                self.set_whole(At::Now)?;
                once(&mut self.micros, 0)?;
            }
            "epoch" => {
                self.set_whole(At::Epoch)?;
                once(&mut self.micros, 0)?;
            }
            "today" | "tomorrow" | "yesterday" => {
                let settings = self.settings;
                let today = settings
                    .zone
                    .to_local(settings.now.get())
                    .ok_or(Failure::Field)?;
                let days = i64::from(today.date().0);
                let days = match text {
                    "today" => days,
                    "tomorrow" => days + 1,
                    _ => days - 1,
                };
                self.set_whole(At::Day(days))?;
            }
            "infinity" | "+infinity" | "-infinity" => return Err(Failure::Infinite),
            "allballs" => {
                once(&mut self.micros, 0)?;
                once(&mut self.zone, ReadZone::Offset(0))?;
            }
            "am" | "pm" => self.is_afternoon = Some(text == "pm"),
            "ad" | "bc" => self.is_before = Some(text == "bc"),
            "at" | "on" => {}
            "j" | "jd" | "julian" => return Ok(Next::Julian),
            "t" => {
                use DateWordKind::{Date, Number, Time};
                let follows = after.is_some_and(|word| matches!(word.kind, Date | Number | Time));
                return match self.has_date() && follows {
                    true => Ok(Next::Time),
                    false => Err(Failure::Syntax),
                };
            }
            _ => {
                if let Some(seconds) = abbreviations::offset(text) {
                    once(&mut self.zone, ReadZone::Offset(seconds))?;
                } else if let Some(month) = month_of(text) {
                    self.text_month(month)?;
                } else if !is_weekday(text) {
                    let zone = Zone::named(text).ok_or(Failure::Syntax)?;
                    once(&mut self.zone, ReadZone::Named(zone.into()))?;
                }
            }
        }
        Ok(Next::Any)
    }

    fn set_whole(&mut self, at: At) -> Result<(), Failure> {
        if self.year.is_some() || self.month.is_some() || self.day.is_some() {
            return Err(Failure::Syntax);
        }
        once(&mut self.whole, at)
    }

    /// The name of a month. A number before it was a day, and not a month.
    fn text_month(&mut self, month: i64) -> Result<(), Failure> {
        if let Some(day) = self.month
            && !self.has_text_month
            && self.day.is_none()
            && (1..=31).contains(&day)
        {
            (self.month, self.day) = (None, Some(day));
        }
        self.has_text_month = true;
        once(&mut self.month, month)
    }

    /// Numbers, and perhaps the name of a month, with marks between them.
    fn date(&mut self, text: &str) -> Result<(), Failure> {
        if self.whole.is_some() {
            return Err(Failure::Syntax);
        }
        let fields = text.split(|c: char| !c.is_ascii_alphanumeric());
        let fields: Vec<_> = fields.filter(|field| !field.is_empty()).collect();
        for field in &fields {
            if field.starts_with(|c: char| c.is_ascii_alphabetic()) {
                let month = month_of(field).ok_or(Failure::Syntax)?;
                once(&mut self.month, month)?;
                self.has_text_month = true;
            }
        }
        for field in fields {
            if !field.starts_with(|c: char| c.is_ascii_alphabetic()) {
                self.part_of_date(field)?;
            }
        }
        match self.has_date() {
            true => Ok(()),
            false => Err(Failure::Syntax),
        }
    }

    /// A number of a date, by what has been said and by its length.
    fn part_of_date(&mut self, text: &str) -> Result<(), Failure> {
        let number = digits(text)?;
        let is_year = text.len() >= 3 || self.settings.date_order == DateOrder::Ymd;
        let said = (
            self.year.is_some(),
            self.month.is_some(),
            self.day.is_some(),
        );
        match said {
            (true, false, false) if text.len() == 3 && (1..=366).contains(&number) => {
                (self.month, self.day) = (Some(1), Some(1));
                self.day_of_year = Some(number);
            }
            (false, false, false) if is_year => self.set_year(number, text),
            (false, false, false) if self.settings.date_order == DateOrder::Dmy => {
                self.day = Some(number);
            }
            (false, false, false) | (true, false, false) | (false, false, true) => {
                self.month = Some(number);
            }
            (false, true, false) if self.has_text_month && is_year => self.set_year(number, text),
            (true, true, false) if self.has_text_month && text.len() >= 3 && self.is_short_year => {
                // What looked like a year was the day.
                self.day = self.year.take();
                self.set_year(number, text);
            }
            (false, true, false) | (true, true, false) => self.day = Some(number),
            (false, true, true) => self.set_year(number, text),
            (true, true, true) => return self.run_together(text),
            (true, false, true) => return Err(Failure::Syntax),
        }
        Ok(())
    }

    fn set_year(&mut self, year: i64, text: &str) {
        self.year = Some(year);
        self.is_short_year = text.len() <= 2;
    }

    /// A number that stands by itself.
    fn number(&mut self, text: &str) -> Result<(), Failure> {
        let whole = text.split('.').next().unwrap_or_default();
        match text.contains('.') {
            true if !self.has_date() => self.date(text),
            true if whole.len() > 2 => self.run_together(text),
            false if text.len() >= 6 && (!self.has_date() || self.micros.is_none()) => {
                self.run_together(text)
            }
            _ if self.whole.is_some() => self.run_together(text),
            _ => self.part_of_date(text),
        }
    }

    /// `yyyymmdd`, `yymmdd`, `hhmmss`, `hhmm`; a fraction makes it a time.
    fn run_together(&mut self, text: &str) -> Result<(), Failure> {
        let (number, rest) = match text.find('.') {
            Some(point) => text.split_at(point),
            None => (text, ""),
        };
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Failure::Syntax);
        }
        let part = |from: usize, to: usize| digits(&number[from..to]);
        let length = number.len();
        if rest.is_empty() && !self.has_date() && length >= 6 {
            if self.year.is_some() || self.month.is_some() || self.day.is_some() {
                return Err(Failure::Syntax);
            }
            self.set_year(part(0, length - 4)?, &number[..length - 4]);
            self.month = Some(part(length - 4, length - 2)?);
            self.day = Some(part(length - 2, length)?);
            return Ok(());
        }
        let (hour, minute, second) = match length {
            6 => (part(0, 2)?, part(2, 4)?, part(4, 6)?),
            4 => (part(0, 2)?, part(2, 4)?, 0),
            _ => return Err(Failure::Syntax),
        };
        once(
            &mut self.micros,
            micros_of(hour, minute, second, fraction(rest)?)?,
        )
    }

    /// Days since 4714-11-24 BC, perhaps with a part of one.
    fn julian(&mut self, text: &str) -> Result<(), Failure> {
        let (days, rest) = match text.find('.') {
            Some(point) => text.split_at(point),
            None => (text, ""),
        };
        self.set_whole(At::Day(digits(days)? + super::FIRST_DAY))?;
        if rest.len() > 1 {
            let part: f64 = rest.parse().map_err(|_| Failure::Syntax)?;
            once(&mut self.micros, (part * super::DAY as f64) as i64)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<Read, Failure> {
        let at = match self.whole {
            Some(at) => at,
            None => At::Day(self.days()?),
        };
        let mut micros = self.micros.unwrap_or(0);
        if let Some(is_afternoon) = self.is_afternoon {
            const HOUR: i64 = 3600 * SECOND;
            let hour = micros / HOUR;
            if hour > 12 {
                return Err(Failure::Field);
            }
            micros += match (is_afternoon, hour) {
                (true, 12) => 0,
                (true, _) => 12 * HOUR,
                (false, 12) => -12 * HOUR,
                (false, _) => 0,
            };
        }
        Ok(Read {
            at,
            micros,
            zone: self.zone,
        })
    }

    fn days(&self) -> Result<i64, Failure> {
        let (Some(year), Some(month), Some(day)) = (self.year, self.month, self.day) else {
            return Err(Failure::Syntax);
        };
        let year = match self.is_before {
            Some(true) if year > 0 => 1 - year,
            _ if year <= 0 && !(self.is_short_year && self.is_before.is_none()) => {
                return Err(Failure::Field);
            }
            Some(_) => year,
            None if self.is_short_year => year + if year < 70 { 2000 } else { 1900 },
            None => year,
        };
        if let Some(day_of_year) = self.day_of_year {
            let first = Date::from_ymd(year, 1, 1).map_err(|_| Failure::Field)?;
            return Ok(i64::from(first.0) + day_of_year - 1);
        }
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(Failure::MonthDay);
        }
        let date = Date::from_ymd(year, month as u32, day as u32);
        date.map(|date| date.0.into()).map_err(|_| Failure::Field)
    }
}

/// Microseconds since midnight; 24:00 is the next, and the 60th second the next minute's first.
fn micros_of(hour: i64, minute: i64, second: i64, fraction: i64) -> Result<i64, Failure> {
    let rest = minute * 60 * SECOND + second * SECOND + fraction;
    if minute > 59 || second > 60 || hour > 24 || (hour == 24 && rest > 0) {
        return Err(Failure::Field);
    }
    Ok(hour * 3600 * SECOND + rest)
}

/// `hh:mm`, `hh:mm:ss` with a fraction, or `mm:ss.fraction`.
fn time_of(text: &str) -> Result<i64, Failure> {
    let (numbers, rest) = match text.find('.') {
        Some(point) => text.split_at(point),
        None => (text, ""),
    };
    let fraction = fraction(rest)?;
    let mut numbers = numbers.split(':').map(|number| match number {
        // As C reads a number that is not there.
        "" => Ok(0),
        number => digits(number),
    });
    let mut next = || numbers.next().transpose();
    match (next()?, next()?, next()?, next()?) {
        (Some(hour), Some(minute), Some(second), None) => micros_of(hour, minute, second, fraction),
        (Some(minute), Some(second), None, None) if !rest.is_empty() => {
            micros_of(0, minute, second, fraction)
        }
        (Some(hour), Some(minute), None, None) => micros_of(hour, minute, 0, 0),
        _ => Err(Failure::Syntax),
    }
}

/// The seconds of `+hh`, `+hhmm`, `+hh:mm` or `+hh:mm:ss`.
fn offset_of(text: &str) -> Result<i32, Failure> {
    let (sign, numbers) = match text.split_at_checked(1) {
        Some(("-", numbers)) => (-1, numbers),
        Some(("+", numbers)) => (1, numbers),
        _ => return Err(Failure::Syntax),
    };
    let number = |text: &str| match text {
        "" => Ok(0),
        text => digits(text).map_err(|failure| match failure {
            Failure::Field => Failure::Offset,
            other => other,
        }),
    };
    let parts: Vec<_> = numbers.split(':').map(number).collect::<Result<_, _>>()?;
    let (hours, minutes, seconds) = match parts[..] {
        [run] if numbers.len() > 2 => (run / 100, run % 100, 0),
        [hours] => (hours, 0, 0),
        [hours, minutes] => (hours, minutes, 0),
        [hours, minutes, seconds] => (hours, minutes, seconds),
        _ => return Err(Failure::Syntax),
    };
    if hours > 15 || minutes > 59 || seconds > 59 {
        return Err(Failure::Offset);
    }
    Ok(sign * (hours * 3600 + minutes * 60 + seconds) as i32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use velocitydb_types::Timestamp;

    use super::*;

    /// What is said, for comparing.
    fn said(read: Read) -> (Option<i64>, i64, Option<i32>) {
        let day = match read.at {
            At::Day(day) => Some(day),
            _ => None,
        };
        let offset = read.zone.map(|zone| match zone {
            ReadZone::Offset(seconds) => seconds,
            ReadZone::Named(zone) => panic!("{zone}"),
        });
        (day, read.micros, offset)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

        /// What is read at once is what is read word by word.
        #[test]
        fn both_ways_agree(
            date in "[0-2][0-9]{3}-[01][0-9]-[0-3][0-9]",
            time in "([ T][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,7})?)?",
            zone in "(Z|[-+][01][0-9](:?[0-6][0-9])?)?",
        ) {
            let settings = Settings::new(Timestamp(0));
            let text = format!("{date}{time}{zone}");
            if let Some(read) = plain(&text) {
                let Ok(slow) = by_words(&text, &settings) else {
                    panic!("{text}")
                };
                prop_assert_eq!(said(read), said(slow), "{}", text);
            }
        }
    }
}
