//! Of the process, under the names that every program has for it.

use std::fs;
use std::time::Duration;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use prometheus_client::metrics::MetricType::{Counter, Gauge};

use super::{Family, Sample};

/// What a process takes. What the system does not tell is zero.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Process {
    /// CPU time.
    pub cpu: Duration,
    /// Memory that is really there, in bytes.
    pub resident: u64,
    /// Memory that it may use, in bytes.
    pub virtual_memory: u64,
    /// Descriptors that are open.
    pub open_fds: u64,
    /// How many there may be.
    pub max_fds: u64,
    /// Threads.
    pub threads: u64,
}

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "process_cpu_seconds",
        help: "CPU time of the process",
        kind: Counter,
        draw: |view| Sample::one(view.process.cpu.as_secs_f64()),
    },
    Family {
        name: "process_resident_memory_bytes",
        help: "Memory of the process that is really there",
        kind: Gauge,
        draw: |view| Sample::one(view.process.resident),
    },
    Family {
        name: "process_virtual_memory_bytes",
        help: "Addresses that the process has",
        kind: Gauge,
        draw: |view| Sample::one(view.process.virtual_memory),
    },
    Family {
        name: "process_open_fds",
        help: "Descriptors that are open",
        kind: Gauge,
        draw: |view| Sample::one(view.process.open_fds),
    },
    Family {
        name: "process_max_fds",
        help: "Descriptors that may be open",
        kind: Gauge,
        draw: |view| Sample::one(view.process.max_fds),
    },
    Family {
        name: "process_threads",
        help: "Threads of the process",
        kind: Gauge,
        draw: |view| Sample::one(view.process.threads),
    },
    Family {
        name: "process_start_time_seconds",
        help: "When the process started, in Unix time",
        kind: Gauge,
        draw: |view| Sample::one(view.status.server.started),
    },
];

impl Process {
    /// This one, now.
    pub fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let number = |key: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            value.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0_u64)
        };
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok();
        let took = |time: TimeVal| Duration::from_micros(time.num_microseconds().unsigned_abs());
        Self {
            cpu: usage.map_or(Duration::ZERO, |usage| took(usage.user_time()) + took(usage.system_time())),
            resident: number("VmRSS") * 1024,
            virtual_memory: number("VmSize") * 1024,
            open_fds: fs::read_dir("/proc/self/fd").map_or(0, |fds| fds.count() as u64),
            max_fds: getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft),
            threads: number("Threads"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_what_it_takes() {
        let Process { cpu, resident, virtual_memory, open_fds, max_fds, threads } = Process::read();
        assert!(cpu > Duration::ZERO && cpu < Duration::from_secs(100_000), "{cpu:?}");
        assert!(resident > 1 << 20 && resident < virtual_memory, "{resident} of {virtual_memory}");
        assert!(open_fds > 2 && open_fds <= max_fds && threads > 0, "{open_fds} of {max_fds}, {threads}");
    }
}
