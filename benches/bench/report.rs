//! One line per case: ratios of product to floor with their range, peaks, noise, and whether the target is met.

use crate::Result;
use crate::measure::{Figure, Pairs, Run};

/// Above this spread of the floor's own wall time, wall ratios say nothing.
const NOISY: f64 = 0.25;

/// The name of the product among several that do the same.
pub const OURS: &str = "highwater";

/// What a case should reach: a ratio of the product to its floor.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// CPU time at most this many times the floor's.
    Cpu(f64),
    /// Wall time at most this many times the floor's.
    Wall(f64),
}

/// The middle of several values and how far they lie apart.
#[derive(Debug, Clone, Copy)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |i: usize| values.get(i).copied().unwrap_or(f64::NAN);
        let last = values.len().saturating_sub(1);
        let median = f64::midpoint(at(last / 2), at(values.len() / 2));
        Self { median, min: at(0), max: at(last) }
    }

    fn shown(self) -> String {
        format!("{:.2} [{:.2}-{:.2}]", self.median, self.min, self.max)
    }
}

/// Prints what the machine is, and the columns' heads.
pub fn head(dir: &std::path::Path) -> Result<()> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    println!("kernel {}, {cpus} cpus, load {}", read("/proc/sys/kernel/osrelease").trim(), load());
    println!("data in {} on {}", dir.display(), file_system(dir, &read("/proc/mounts")));
    println!("\n{:<34} {:>20} {:>20} {:>14} {:>7}  target", "product / floor", "wall", "cpu", "peak MiB", "noise");
    Ok(())
}

fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(f64::NAN)
}

fn file_system(dir: &std::path::Path, mounts: &str) -> String {
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let around = fields.filter(|fields| fields.len() > 2 && dir.starts_with(fields[1]));
    around.max_by_key(|fields| fields[1].len()).map_or("?".into(), |fields| fields[2].to_owned())
}

/// Prints one case.
pub fn line(name: &str, pairs: &Pairs, target: Option<Target>) {
    let ratios = |of: fn(&Run) -> u64| {
        let each = pairs.product.iter().zip(&pairs.floor);
        Spread::of(each.map(|(ours, bare)| of(ours) as f64 / of(bare).max(1) as f64).collect())
    };
    let (wall, cpu) = (ratios(|run| run.wall_us), ratios(|run| run.cpu_us));
    let floor = Spread::of(pairs.floor.iter().map(|run| run.wall_us as f64).collect());
    let noise = (floor.max - floor.min) / floor.median;
    let peak = |runs: &[Run]| runs.iter().map(|run| run.peak_kib).max().unwrap_or(0) as f64 / 1024.0;
    println!(
        "{name:<34} {:>20} {:>20} {:>6.1} /{:>6.1} {:>6.0}%  {}",
        wall.shown(),
        cpu.shown(),
        peak(&pairs.product),
        peak(&pairs.floor),
        noise * 100.0,
        verdict(wall, cpu, noise, target)
    );
    let millis = |runs: &[Run], of: fn(&Run) -> u64| Spread::of(runs.iter().map(|run| of(run) as f64 / 1e3).collect());
    println!(
        "{:<34} product {:.0} ms, floor {:.0} ms; cpu {:.0} ms, {:.0} ms",
        "",
        millis(&pairs.product, |run| run.wall_us).median,
        millis(&pairs.floor, |run| run.wall_us).median,
        millis(&pairs.product, |run| run.cpu_us).median,
        millis(&pairs.floor, |run| run.cpu_us).median,
    );
}

/// Prints several that did the same, each with what it took and the product's ratio to it.
/// That the product's own figure is missing is an error.
pub fn table(title: &str, figures: &[Figure]) -> Result<()> {
    println!("\n{title}{}", if is_busy() { " (indicative: other work was going on)" } else { "" });
    let ours = figures.iter().find(|figure| figure.name == OURS).map(|figure| figure.runs.as_ref());
    let ours = ours.ok_or("there is no figure of the product")?;
    for figure in figures {
        match &figure.runs {
            Ok(runs) => println!("  {:<24} {}", figure.name, compared(figure, runs, ours.ok())),
            Err(line) => println!("  {:<24} not taken: {}", figure.name, line.trim().replace('\n', "; ")),
        }
    }
    ours.map(drop).map_err(|line| format!("{title}: {line}"))
}

/// `   1.40 s [1.35-1.60]   cpu   0.90 s    12.0 MiB   highwater/this: wall 1.00, cpu 1.00`
fn compared(figure: &Figure, runs: &[Run], ours: Option<&Vec<Run>>) -> String {
    let seconds = |of: fn(&Run) -> u64, runs: &[Run]| Spread::of(runs.iter().map(|run| of(run) as f64 / 1e6).collect());
    let (wall, cpu) = (seconds(|run| run.wall_us, runs), seconds(|run| run.cpu_us, runs));
    let peak = runs.iter().map(|run| run.peak_kib).max().unwrap_or(0) as f64 / 1024.0;
    let mut text = format!("{:>22} s  cpu {:>6.2} s  {peak:>6.1} MiB", wall.shown(), cpu.median);
    let Some(ours) = ours.filter(|_| figure.name != OURS) else { return text };
    let ratio = |of: fn(&Run) -> u64| {
        let each = ours.iter().zip(runs);
        Spread::of(each.map(|(ours, theirs)| of(ours) as f64 / of(theirs).max(1) as f64).collect())
    };
    let (wall_ratio, cpu_ratio) = (ratio(|run| run.wall_us), ratio(|run| run.cpu_us));
    text += &format!("  {OURS}/this: wall {:.2}, cpu {:.2}", wall_ratio.median, cpu_ratio.median);
    if figure.aim.is_some() {
        let noise = (wall.max - wall.min) / wall.median;
        text += &format!("; {}", verdict(wall_ratio, cpu_ratio, noise, figure.aim));
    }
    text
}

fn is_busy() -> bool {
    load() > std::thread::available_parallelism().map_or(1.0, |n| n.get() as f64)
}

fn verdict(wall: Spread, cpu: Spread, noise: f64, target: Option<Target>) -> String {
    let Some(target) = target else { return "-".into() };
    let (word, reached, limit) = match target {
        Target::Cpu(limit) => ("cpu", cpu.median, limit),
        Target::Wall(limit) => ("wall", wall.median, limit),
    };
    let judged = match target {
        _ if is_busy() => "machine too busy to judge",
        Target::Wall(_) if noise > NOISY => "noisy",
        _ if reached <= limit => "met",
        _ => "missed",
    };
    format!("{word} <= {limit:.2}: {judged}")
}
