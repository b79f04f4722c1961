//! The machine's facts, as far as they change what is measured.

use std::collections::BTreeMap;
use std::fs;
use std::sync::OnceLock;
use std::time::Instant;

use nix::sched::sched_getaffinity;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) architecture: String,
    pub(crate) kernel: String,
    pub(crate) cores: usize,
    /// The CPUs of the near and the far process.
    pub(crate) pinned: [usize; 2],
    /// How those two lie to each other.
    pub(crate) placement: String,
    pub(crate) governor: String,
    pub(crate) hypervisor: String,
    pub(crate) huge_pages: String,
    pub(crate) clock: String,
    /// What one look at the clock costs. Percentiles hold it; it is not subtracted.
    pub(crate) timer_ns: f64,
    pub(crate) mitigations: BTreeMap<String, String>,
    /// 1, 5 and 15 minutes, when the run began.
    pub(crate) load: String,
}

/// The two CPUs: of those that we may use, the first and the first on another core.
pub(crate) fn cpus() -> [usize; 2] {
    static CPUS: OnceLock<[usize; 2]> = OnceLock::new();
    *CPUS.get_or_init(|| {
        let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap();
        let allowed: Vec<usize> = (0..1024).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false)).collect();
        let near = allowed.first().copied().unwrap_or(0);
        let others = || allowed.iter().copied().filter(|cpu| *cpu != near);
        let far = others().find(|cpu| core(*cpu) != core(near)).or_else(|| others().next());
        [near, far.unwrap_or(near)]
    })
}

impl Machine {
    pub(crate) fn look() -> Self {
        let information = read("/proc/cpuinfo");
        let field = |name: &str| {
            let line = information.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(':'))
                .map_or_else(unknown, |(_, value)| value.trim().to_owned())
        };
        let cpus = cpus();
        Self {
            cpu: format!(
                "{}, family {}, model {}",
                field("model name"),
                field("cpu family"),
                field("model\t")
            ),
            architecture: std::env::consts::ARCH.to_owned(),
            kernel: read("/proc/sys/kernel/osrelease"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            pinned: cpus,
            placement: placement(cpus),
            governor: or_unknown(read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
            hypervisor: hypervisor(&information),
            huge_pages: or_unknown(read("/sys/kernel/mm/transparent_hugepage/enabled")),
            clock: or_unknown(read("/sys/devices/system/clocksource/clocksource0/current_clocksource")),
            timer_ns: timer(),
            mitigations: mitigations(),
            load: read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" "),
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn or_unknown(text: String) -> String {
    if text.is_empty() { unknown() } else { text }
}

/// A name for the physical core.
fn core(cpu: usize) -> (String, String) {
    let topology = |name: &str| read(&format!("/sys/devices/system/cpu/cpu{cpu}/topology/{name}"));
    (topology("physical_package_id"), topology("core_id"))
}

fn placement([near, far]: [usize; 2]) -> String {
    if near == far {
        return "one CPU is all that we may use".to_owned();
    }
    if core(near) == core(far) {
        return "two hardware threads of one core".to_owned();
    }
    let l3 = |cpu: usize| read(&format!("/sys/devices/system/cpu/cpu{cpu}/cache/index3/shared_cpu_list"));
    let shared = if l3(near) == l3(far) && !l3(near).is_empty() { "one L3" } else { "no common L3 known" };
    format!("two cores, {shared}")
}

fn hypervisor(information: &str) -> String {
    let guest = information
        .lines()
        .any(|line| line.starts_with("flags") && line.split(' ').any(|flag| flag == "hypervisor"));
    let vendor = read("/sys/class/dmi/id/sys_vendor");
    match (guest, vendor.is_empty()) {
        (false, _) => "none".to_owned(),
        (true, true) => "a guest".to_owned(),
        (true, false) => format!("a guest, {vendor}"),
    }
}

fn mitigations() -> BTreeMap<String, String> {
    let directory = "/sys/devices/system/cpu/vulnerabilities";
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let read = |name: String| (name.clone(), read(&format!("{directory}/{name}")));
    let all = entries.map(|entry| read(entry.file_name().to_string_lossy().into_owned()));
    all.filter(|(_, state)| state != "Not affected").collect()
}

/// The mean of many looks at the clock.
fn timer() -> f64 {
    const LOOKS: u32 = 200_000;
    let start = Instant::now();
    let last = (0..LOOKS).fold(start, |_, _| std::hint::black_box(Instant::now()));
    (last - start).as_nanos() as f64 / f64::from(LOOKS)
}
