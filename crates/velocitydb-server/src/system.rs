//! What the system allows the process: open files.
//!
//! Tests: below for the arithmetic; the program's tests for the limit itself.

/// Files that a server needs beside its connections: the log, checkpoints, standard streams.
const FILES_RESERVED: u64 = 64;

/// Raises the number of files that the process may open to as many as it may ask for. A
/// connection is a file.
pub fn raise_file_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        if current != maximum {
            let limit = Rlimit {
                current: maximum,
                maximum,
            };
            // Some systems allow less than they name; the limit stays as it was then.
            let _ = setrlimit(Resource::Nofile, limit);
        }
    }
}

/// Files that the process may have open; `None` without a limit.
pub(crate) fn file_limit() -> Option<u64> {
    #[cfg(unix)]
    return rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(unix))]
    None
}

/// How many of `wanted` connections there can be under a limit of files.
pub(crate) fn connections_possible(wanted: usize, file_limit: Option<u64>) -> usize {
    let Some(limit) = file_limit else {
        return wanted;
    };
    let possible = limit.saturating_sub(FILES_RESERVED).max(1);
    wanted.min(usize::try_from(possible).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::connections_possible;

    #[test]
    fn connections_leave_files_for_the_database() {
        for (wanted, limit, possible) in [
            (10_000, None, 10_000),
            (10_000, Some(1 << 20), 10_000),
            (10_000, Some(1_024), 960),
            (100, Some(164), 100),
            (100, Some(10), 1),
        ] {
            assert_eq!(connections_possible(wanted, limit), possible, "{limit:?}");
        }
    }
}
