//! The load: wrk, and what it reports. Tests: below.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use crate::BenchError;

/// Connections, each with one request under way.
pub(super) const CONNECTIONS: u64 = 64;
/// The program and its options.
pub(super) const LOAD: [&str; 3] = ["wrk", "-t1", "-c64"];

/// What wrk has done.
#[derive(Debug, PartialEq)]
pub(super) struct Load {
    /// Answered ones.
    pub(super) requests: u64,
    seconds: f64,
}

impl Load {
    /// Requests a second.
    pub(super) fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

/// Whether wrk is there.
pub(super) fn find() -> Result<(), BenchError> {
    run(&mut Command::new(LOAD[0])).map(|_| ())
}

/// Gets one address again and again.
pub(super) fn get(url: &str, time: Duration) -> Result<Load, BenchError> {
    read(&run(load(time).arg(url))?)
}

/// Sends what a script makes, which gets one argument.
pub(super) fn run_script(
    url: &str,
    time: Duration,
    script: &Path,
    argument: &str,
) -> Result<Load, BenchError> {
    let mut load = load(time);
    load.arg("-s").arg(script).args([url, "--", argument]);
    read(&run(&mut load)?)
}

fn load(time: Duration) -> Command {
    let mut command = Command::new(LOAD[0]);
    command.args(&LOAD[1..]);
    command.arg(format!("-d{}s", time.as_secs().max(1)));
    command
}

fn run(command: &mut Command) -> Result<Output, BenchError> {
    command.output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => BenchError::Unfit(
            "wrk makes the load of this benchmark and is not installed: \
             apt-get install wrk, or https://github.com/wg/wrk"
                .to_owned(),
        ),
        _ => error.into(),
    })
}

/// Reads the report; a request that failed makes it worthless.
fn read(output: &Output) -> Result<Load, BenchError> {
    let text = String::from_utf8_lossy(&output.stdout);
    let unfit = |what| {
        let errors = String::from_utf8_lossy(&output.stderr);
        BenchError::Unfit(format!("{what}:\n{text}{errors}"))
    };
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err(unfit("requests failed"));
    }
    let load = text.lines().find_map(|line| {
        let (requests, rest) = line.trim().split_once(" requests in ")?;
        let (time, _) = rest.split_once(',')?;
        Some(Load {
            requests: requests.parse().ok()?,
            seconds: seconds(time)?,
        })
    });
    load.filter(|load| load.requests > 0)
        .ok_or_else(|| unfit("wrk has not answered as expected"))
}

/// `5.01s`, or `1.20m` from a minute on.
fn seconds(text: &str) -> Option<f64> {
    if let Some(minutes) = text.strip_suffix('m') {
        return minutes.parse::<f64>().ok().map(|minutes| minutes * 60.0);
    }
    text.strip_suffix('s')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(more: &str) -> Result<Load, BenchError> {
        let text = format!(
            "Running 2s test @ http://127.0.0.1:7480/\n  1 threads and 64 connections\n  \
             Thread Stats   Avg      Stdev     Max   +/- Stdev\n    \
             Latency   823.03us  125.80us   4.65ms   92.66%\n    \
             Req/Sec    77.47k     2.01k   80.27k    80.00%\n  \
             154201 requests in 2.00s, 41.03MB read\n{more}\
             Requests/sec:  77056.46\nTransfer/sec:     20.50MB\n"
        );
        read(&Output {
            status: std::process::ExitStatus::default(),
            stdout: text.into(),
            stderr: Vec::new(),
        })
    }

    #[test]
    fn only_successes_count() {
        let load = report("").unwrap();
        assert_eq!((load.requests, load.seconds), (154_201, 2.0));
        assert_eq!(load.rate(), 77_100.5);
        for failed in [
            "  Non-2xx or 3xx responses: 1\n",
            "  Socket errors: connect 0, read 1, write 0, timeout 0\n",
        ] {
            let error = report(failed).unwrap_err().to_string();
            assert!(error.contains(failed.trim()), "{error}");
        }
        assert_eq!(seconds("1.50m"), Some(90.0));
    }
}
