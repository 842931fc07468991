//! The resource usage of a process from /proc.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// A process that is measured from outside.
#[derive(Clone, Copy, Debug)]
pub struct Process(u32);

/// One line of /proc/PID/maps, as far as it matters here.
struct Mapping {
    start: u64,
    end: u64,
    writable: bool,
    inaccessible: bool,
}

// === impl Process ===

impl Process {
    /// The process of this id.
    pub fn new(pid: u32) -> Self {
        Self(pid)
    }

    /// The time that its threads have spent on a CPU, in user space and in the kernel, to the nanosecond;
    /// /proc/PID/stat counts in hundredths of a second.
    pub fn cpu_time(self) -> Result<Duration> {
        let mut nanos = 0;
        for thread in fs::read_dir(self.path("task")).context("the process has ended")? {
            let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else {
                // A thread that has just ended. Envoy's live as long as it does.
                continue;
            };
            let on_cpu = text.split_whitespace().next().context("an empty schedstat")?;
            nanos += on_cpu.parse::<u64>()?;
        }
        ensure!(nanos > 0, "this kernel does not count CPU time in /proc/PID/task/*/schedstat");
        Ok(Duration::from_nanos(nanos))
    }

    /// How long ago it was started, to a hundredth of a second.
    pub fn age(self) -> Result<Duration> {
        let stat = fs::read_to_string(self.path("stat"))?;
        // The name, in parentheses, may have spaces in it. `starttime` is field 22, counted from 1.
        let (_, fields) = stat.rsplit_once(')').context("an odd stat")?;
        let started = fields.split_whitespace().nth(19).context("a short stat")?.parse::<f64>()?;
        let uptime = fs::read_to_string("/proc/uptime")?;
        let uptime: f64 = uptime.split_whitespace().next().context("no uptime")?.parse()?;
        Ok(Duration::from_secs_f64((uptime - started / TICKS_PER_SECOND).max(0.0)))
    }

    /// The memory that it keeps in RAM, in bytes.
    pub fn resident_bytes(self) -> Result<u64> {
        let status = fs::read_to_string(self.path("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()).context("no VmRSS")?;
        Ok(kilobytes.parse::<u64>()? * 1024)
    }

    /// The sizes of the linear memories of its Wasm VMs, in bytes, the largest first.
    ///
    /// V8 reserves gigabytes of address space for each, and makes of them accessible what the module has
    /// grown to: a writable mapping with gigabytes of inaccessible ones behind it.
    pub fn wasm_memories(self) -> Result<Vec<u64>> {
        Ok(memories(&fs::read_to_string(self.path("maps"))?))
    }

    fn path(self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.0))
    }
}

// === impl Mapping ===

impl Mapping {
    /// `7f0c00000000-7f0c00010000 rw-p 00000000 00:00 0 name`
    fn parse(line: &str) -> Option<Self> {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        Some(Self {
            start: u64::from_str_radix(start, 16).ok()?,
            end: u64::from_str_radix(end, 16).ok()?,
            writable: rest.starts_with("rw-"),
            inaccessible: rest.starts_with("---"),
        })
    }
}

// === private ===

fn memories(maps: &str) -> Vec<u64> {
    let maps: Vec<_> = maps.lines().filter_map(Mapping::parse).collect();
    let mut sizes: Vec<_> = maps
        .windows(2)
        .filter_map(|pair| {
            let [memory, guard] = pair else { return None };
            let guarded = guard.inaccessible
                && guard.start == memory.end
                && guard.end - guard.start >= RESERVED_BYTES;
            (memory.writable && guarded).then_some(memory.end - memory.start)
        })
        .collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes
}

/// `USER_HZ`: the same on every architecture that Envoy is built for.
const TICKS_PER_SECOND: f64 = 100.0;

/// A Wasm memory can address four gigabytes; nothing else in Envoy reserves half as much at once.
const RESERVED_BYTES: u64 = 2 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wasm_memory_is_a_writable_mapping_before_a_large_inaccessible_one() {
        let maps = "\
            7ea144560000-7ea144670000 rw-p 00000000 00:00 0 \n\
            7ea144670000-7ea344560000 ---p 00000000 00:00 0 \n\
            7ea374560000-7ea374680000 rw-p 00000000 00:00 0 \n\
            7ea374680000-7ea574560000 ---p 00000000 00:00 0 \n\
            7ea574560000-7ea574570000 r-xp 00000000 00:00 0 \n\
            7ea574570000-7ea674570000 ---p 00000000 00:00 0 \n\
            7ea674570000-7ea674580000 rw-p 00000000 00:00 0 [stack]\n\
            7ea674580000-7ea674590000 ---p 00000000 00:00 0 \n";
        assert_eq!(memories(maps), [0x120000, 0x110000]);
    }

    #[test]
    fn working_process_uses_cpu_time() {
        let process = Process::new(std::process::id());
        let before = process.cpu_time().expect("this process");
        let mut sum = 0_u64;
        while process.cpu_time().expect("this process") < before + Duration::from_millis(20) {
            sum = (0..100_000).fold(sum, |sum, n| std::hint::black_box(sum ^ n));
        }
        assert!(process.resident_bytes().expect("this process") > 100_000, "{sum}");
    }
}
