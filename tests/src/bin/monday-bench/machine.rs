//! What about this machine explains a figure.

use std::fs;

/// Processors, kernel, load, and the congestion control, which on loopback makes a difference of two to one.
pub(crate) fn describe() -> String {
    let read = |path: &str| {
        fs::read_to_string(path)
            .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
    };
    let load = read("/proc/loadavg");
    format!(
        "{} processors, Linux {}, {}, load {}",
        std::thread::available_parallelism().map_or(1, usize::from),
        read("/proc/sys/kernel/osrelease"),
        read("/proc/sys/net/ipv4/tcp_congestion_control"),
        load.split_whitespace().next().unwrap_or("unknown"),
    )
}
