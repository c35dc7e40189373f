//! Rounds, ratios and the report.

use std::fmt;
use std::time::{Duration, Instant};

/// The middle of several figures, with their extremes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The smallest.
    pub min: f64,
    /// The middle one.
    pub median: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of at least one figure.
    pub fn of(figures: &[f64]) -> Spread {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
        Spread {
            min: at(0.0),
            median: at(0.5),
            max: at(1.0),
        }
    }
}

/// Which side of a bar is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Ratios and rates.
    Higher,
    /// Times and sizes.
    Lower,
}

/// One line of the report: a figure against its bar.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// The figure that counts, over all rounds.
    pub figure: Spread,
    /// Its unit, `x` for a ratio.
    pub unit: &'static str,
    /// What it must reach and what it aims at; not a number: it stands alone.
    pub bar: f64,
    /// See `bar`.
    pub aim: f64,
    /// Which side is good.
    pub better: Better,
    /// The absolute figures behind it.
    pub detail: String,
}

/// How a figure stands to its bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The aim is reached.
    Aim,
    /// The bar is reached.
    Reached,
    /// The median reaches the bar, but not every round does.
    Inconclusive,
    /// The median misses the bar.
    Missed,
    /// There is no bar.
    Alone,
}

impl Row {
    fn reaches(&self, figure: f64, goal: f64) -> bool {
        match self.better {
            Better::Higher => figure >= goal,
            Better::Lower => figure <= goal,
        }
    }

    /// How the figure stands to its bar. The spread is wider than the margin when the worst
    /// round misses the bar.
    pub fn verdict(&self) -> Verdict {
        let worst = match self.better {
            Better::Higher => self.figure.min,
            Better::Lower => self.figure.max,
        };
        if self.bar.is_nan() {
            Verdict::Alone
        } else if !self.reaches(self.figure.median, self.bar) {
            Verdict::Missed
        } else if !self.reaches(worst, self.bar) {
            Verdict::Inconclusive
        } else if self.reaches(self.figure.median, self.aim) {
            Verdict::Aim
        } else {
            Verdict::Reached
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict() {
            Verdict::Aim => "aim reached",
            Verdict::Reached => "bar reached",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Missed => "MISSED",
            Verdict::Alone => "",
        };
        let Spread { min, median, max } = self.figure;
        write!(
            f,
            "| {} | {} {} ({} to {}) | {} | {} | {verdict} | {} |",
            self.what,
            short(median),
            self.unit,
            short(min),
            short(max),
            short(self.bar),
            short(self.aim),
            self.detail
        )
    }
}

/// A number with about three significant digits.
pub fn short(number: f64) -> String {
    match number.abs() {
        size if size.is_nan() => String::new(),
        size if size >= 10_000.0 => {
            let digits = format!("{number:.0}");
            let (sign, digits) = digits.split_at(usize::from(number < 0.0));
            let grouped: Vec<&str> = digits
                .as_bytes()
                .rchunks(3)
                .rev()
                .map(|group| std::str::from_utf8(group).unwrap_or_default())
                .collect();
            format!("{sign}{}", grouped.join(","))
        }
        size if size >= 100.0 => format!("{number:.0}"),
        size if size >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

/// The head of a report's table.
pub const HEAD: &str = "| what | figure (spread) | bar | aim | verdict | absolute |\n\
                        | --- | --- | --- | --- | --- | --- |";

/// Runs both sides in turn for `rounds` rounds; each gives a figure. The answer is the ratio of
/// the first to the second round by round, and both sides' own figures.
pub fn alternate<E>(
    rounds: usize,
    mut ours: impl FnMut() -> Result<f64, E>,
    mut theirs: impl FnMut() -> Result<f64, E>,
) -> Result<(Spread, Spread, Spread), E> {
    let (mut ratios, mut a, mut b) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        // Who begins changes, so that neither side always has the warmer machine.
        let (mine, other) = if round % 2 == 0 {
            let mine = ours()?;
            (mine, theirs()?)
        } else {
            let other = theirs()?;
            (ours()?, other)
        };
        ratios.push(mine / other);
        a.push(mine);
        b.push(other);
    }
    Ok((Spread::of(&ratios), Spread::of(&a), Spread::of(&b)))
}

/// Operations a second.
pub fn rate(operations: usize, taken: Duration) -> f64 {
    operations as f64 / taken.as_secs_f64()
}

/// Runs `work` and answers its rate for this many operations.
pub fn timed(operations: usize, work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    rate(operations, start.elapsed())
}

/// What this process has used of processors so far, in hundredths of a second; 0 where that cannot be known.
fn cpu_ticks() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the program's name, in which anything may be, utime and stime are the 12th and the 13th.
    let behind = stat.rsplit(')').next().unwrap_or_default();
    let ticks = behind.split_whitespace().skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum()
}

/// Runs `work`; what it answers, how long it took, and the processors' time that this process used
/// meanwhile, to a hundredth of a second.
pub fn with_cpu<R>(work: impl FnOnce() -> R) -> (R, Duration, Duration) {
    let (start, ticks) = (Instant::now(), cpu_ticks());
    let answer = work();
    let cpu = Duration::from_secs_f64((cpu_ticks() - ticks).max(0.0) / 100.0);
    (answer, start.elapsed(), cpu)
}

/// The machine that figures come from.
pub fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or(": unknown");
    let memory = read("/proc/meminfo");
    let kilobytes = memory
        .lines()
        .find_map(|line| {
            line.strip_prefix("MemTotal:")?
                .trim()
                .strip_suffix(" kB")?
                .parse()
                .ok()
        })
        .unwrap_or(0u64);
    let cores = std::thread::available_parallelism().map_or(0, |cores| cores.get());
    format!(
        "{cores} cores of {}, {} GiB, Linux {}",
        model.trim_start_matches([' ', '\t', ':']),
        kilobytes >> 20,
        read("/proc/sys/kernel/osrelease").trim(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(min: f64, median: f64, max: f64, better: Better) -> Row {
        Row {
            what: "w".into(),
            figure: Spread { min, median, max },
            unit: "x",
            bar: 0.5,
            aim: if better == Better::Higher { 0.8 } else { 0.2 },
            better,
            detail: String::new(),
        }
    }

    #[test]
    fn a_spread_over_the_bar_is_no_pass() {
        assert_eq!(
            row(0.6, 0.7, 0.9, Better::Higher).verdict(),
            Verdict::Reached
        );
        assert_eq!(row(0.6, 0.85, 0.9, Better::Higher).verdict(), Verdict::Aim);
        assert_eq!(
            row(0.4, 0.7, 0.9, Better::Higher).verdict(),
            Verdict::Inconclusive
        );
        assert_eq!(
            row(0.4, 0.45, 0.9, Better::Higher).verdict(),
            Verdict::Missed
        );
        assert_eq!(row(0.1, 0.2, 0.4, Better::Lower).verdict(), Verdict::Aim);
        assert_eq!(
            row(0.1, 0.2, 0.6, Better::Lower).verdict(),
            Verdict::Inconclusive
        );
        let (bar, aim) = (f64::NAN, f64::NAN);
        let alone = Row {
            bar,
            aim,
            ..row(0.1, 0.2, 0.6, Better::Lower)
        };
        assert_eq!(
            alone.to_string(),
            "| w | 0.20 x (0.10 to 0.60) |  |  |  |  |"
        );
    }

    #[test]
    fn numbers_are_short() {
        let shown = [0.123, 4.567, 45.67, 456.7, 45_678.0, 1_234_567.0].map(short);
        assert_eq!(
            shown,
            ["0.12", "4.57", "45.7", "457", "45,678", "1,234,567"]
        );
    }

    #[test]
    fn spreads_are_exact() {
        let spread = Spread::of(&[3.0, 1.0, 2.0]);
        assert_eq!(
            spread,
            Spread {
                min: 1.0,
                median: 2.0,
                max: 3.0
            }
        );
    }
}
