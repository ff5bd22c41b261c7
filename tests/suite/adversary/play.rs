//! One play: writers at work, the binary killed and restarted, naive pollers beside it, and in the end the verdict.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::verdict::{Events, Verdict};
use crate::support::highwater::Highwater;
use crate::support::receiver::Receiver;
use crate::support::writers::{Committed, Dialect, Hand, Naive, Writer};

/// So many writers are at work at once.
const WRITERS: u64 = 14;
/// For so long, unless the environment says otherwise.
const SECONDS: u64 = 60;
/// Between two looks of a naive poller, and of every source here.
const EVERY: Duration = Duration::from_millis(100);

/// What is played.
pub struct Play<'a> {
    /// For the line in the end.
    pub database: &'a str,
    pub dialect: Dialect,
    /// A new session.
    pub connect: &'a (dyn Fn() -> Box<dyn Hand> + Sync),
    /// The sources, as the configuration has them; each ends with `to`.
    pub sources: &'a str,
    /// Columns for naive pollers, with a value below all others.
    pub naive: &'a [(&'static str, &'static str)],
    /// Waits until everything that was committed can be read by every source.
    pub caught_up: &'a (dyn Fn() + Sync),
}

/// How long a play is.
fn length() -> Duration {
    let wanted = std::env::var("HIGHWATER_ADVERSARY_SECONDS").ok();
    let seconds = wanted.map(|text| text.parse().expect("HIGHWATER_ADVERSARY_SECONDS is a number of seconds"));
    Duration::from_secs(seconds.unwrap_or(SECONDS))
}

impl Play<'_> {
    /// Plays and judges. The rows that are there already count as committed.
    pub fn run(&self) {
        let receiver = Receiver::start();
        let sink = format!("\n[sink.out]\nkind = \"http\"\nurl = \"{}\"\nconcurrency = 8\n", receiver.url("/"));
        let highwater = Highwater::with_config(&format!("{}{sink}", self.sources));
        let committed = Mutex::new(self.first_rows());
        // A first look waits for open transactions for longer than it would live.
        highwater.run(&["once"]).ok();
        let deadline = Instant::now() + length();
        let over = AtomicBool::new(false);
        let (kills, naive) = std::thread::scope(|scope| {
            let pollers: Vec<_> = self
                .naive
                .iter()
                .map(|(column, first)| scope.spawn(|| self.poll_naively(column, first, &over)))
                .collect();
            let writers: Vec<_> = (0..WRITERS)
                .map(|at| {
                    scope.spawn({
                        let writer =
                            Writer::new((self.connect)(), self.dialect, (format!("w{at}"), at), deadline, &committed);
                        move || writer.run()
                    })
                })
                .collect();
            let kills = kill_and_restart(&highwater, deadline);
            writers.into_iter().for_each(|writer| writer.join().expect("a writer ends well"));
            over.store(true, Ordering::Relaxed);
            let naive: Vec<Naive> = pollers.into_iter().map(|poller| poller.join().expect("it polls on")).collect();
            (kills, naive)
        });
        let committed = committed.into_inner().expect("all writers have ended");
        let rows = self.rows();
        let list = || Events::parse(&highwater.run(&["events", "--json", "--limit", "0"]));
        let meanwhile = list().count();
        (self.caught_up)();
        highwater.run(&["once", "--drain", "--deadline", "2m"]).ok();
        let told = list().count();
        highwater.run(&["once", "--drain", "--deadline", "2m"]).ok();
        let events = list();
        assert_eq!(events.count(), told, "a poll of a database at rest tells nothing");
        let verdict = Verdict { committed: &committed, rows: &rows, events: &events, received: &receiver.received() };
        verdict.check();
        let lost: Vec<(usize, usize)> = naive.iter().map(|poller| poller.lost(&rows)).collect();
        self.report(&verdict, (kills, meanwhile), &lost);
        assert!(meanwhile > 0, "it polled while the writers were at work");
        assert!(kills as u64 >= length().as_secs() / 4, "{kills} kills are too few to show anything");
        assert!(lost.iter().all(|(_, latest)| *latest > 0), "where a naive poller loses nothing, nothing is shown");
    }

    fn rows(&self) -> Vec<(String, String)> {
        let rows = (self.connect)().ask("SELECT id, version FROM item ORDER BY id").expect("the rows");
        rows.into_iter().map(|row| <[String; 2]>::try_from(row).expect("two columns").into()).collect()
    }

    fn first_rows(&self) -> Committed {
        let rows = self.rows();
        let ids = rows.iter().map(|(id, _)| id.clone()).collect();
        Committed { versions: rows.into_iter().collect(), ids, rolled_back: (0, 0) }
    }

    /// Polls until all is over, and a few times more.
    fn poll_naively(&self, column: &'static str, first: &str, over: &AtomicBool) -> Naive {
        let mut naive = Naive::new((self.connect)(), column, first);
        let mut left = 3;
        while left > 0 {
            left -= u32::from(over.load(Ordering::Relaxed));
            naive.poll();
            std::thread::sleep(EVERY);
        }
        naive
    }

    /// The line that the documentation quotes.
    fn report(&self, verdict: &Verdict<'_>, (kills, meanwhile): (usize, usize), lost: &[(usize, usize)]) {
        let sources = verdict.events.sources();
        let naive: Vec<String> = std::iter::zip(self.naive, lost)
            .map(|((column, _), (never, latest))| {
                format!("{column} > last: {never} rows never seen, {latest} last versions")
            })
            .collect();
        println!(
            "{}: {} s, {WRITERS} writers, {} rows, {} versions committed, {} rolled back, {} refused, {} kills; {} events \
             of {} sources ({}), {meanwhile} of them among the kills; naive pollers lost {}; highwater lost 0, told 0 twice",
            self.database,
            length().as_secs(),
            verdict.rows.len(),
            verdict.committed.versions.len(),
            verdict.committed.rolled_back.0,
            verdict.committed.rolled_back.1,
            kills,
            verdict.events.count(),
            sources.len(),
            sources.join(", "),
            naive.join("; "),
        );
    }
}

/// Runs the binary and kills it with SIGKILL, again and again; how often.
fn kill_and_restart(highwater: &Highwater, deadline: Instant) -> usize {
    let mut random = fastrand::Rng::with_seed(9);
    let mut kills = 0;
    while Instant::now() < deadline {
        let mut running = highwater.spawn(&["run"]);
        std::thread::sleep(Duration::from_millis(random.u64(300..3_000)));
        assert!(running.is_running(), "it ended by itself: {}", running.log());
        running.kill();
        kills += 1;
    }
    kills
}
