//! The cases of large tables in PostgreSQL: a first load to committed events beside a bare read and COPY, polls in which
//! nothing happened, and sweeps. How long one row takes is in `cases`; here it is how it grows.

use std::time::Duration;

use crate::cases::UNUSED_SINK;
use crate::measure::{Contender, Job, side_by_side};
use crate::postgres::Server;
use crate::product::Installation;
use crate::report::{self, Target};
use crate::{Options, Result, rows};

/// How much of everything.
struct Sizes {
    loaded: u64,
    idle: u64,
}

const FULL: Sizes = Sizes { loaded: 1_000_000, idle: 3_000_000 };
const QUICK: Sizes = Sizes { loaded: 5_000, idle: 20_000 };

/// Keys of every source here.
const TABLE: &str = "table = \"items\"\nwatermark = \"updated_at\"\nkey = [\"id\"]\npage = 5000";

/// Polls of a table in which nothing happened: what the configuration says, and what it is called.
const IDLE: [(&str, &str); 4] = [
    (report::OURS, "settle = \"row-version\""),
    ("highwater, no window", "settle = \"row-version\"\nwindow = \"none\""),
    ("highwater, fence", "settle = \"fence\""),
    ("highwater, sweep", "settle = \"fence\"\nsweep = \"1s\""),
];

/// A first load; the error says why it can't be measured.
pub fn load(options: &Options) -> Result<()> {
    on_a_server(options, |server, sizes| loads(options, server, sizes.loaded))
}

/// Polls in which nothing happened.
pub fn polls(options: &Options) -> Result<()> {
    on_a_server(options, |server, sizes| idle(options, server, sizes.idle))
}

fn on_a_server(options: &Options, work: impl FnOnce(&Server, &Sizes) -> Result<()>) -> Result<()> {
    let sizes = if options.quick { &QUICK } else { &FULL };
    match Server::start()? {
        Some(server) => work(&server, sizes),
        None => {
            println!("{:<34} left out: PostgreSQL is not installed", "table, polls");
            Ok(())
        }
    }
}

/// All rows to committed events; a tenth of them before, to see that memory does not grow with the table.
fn loads(options: &Options, server: &Server, count: u64) -> Result<()> {
    for count in [count / 10, count] {
        rows::postgres_with_times(&server.url, count)?;
        let source = format!("kind = \"postgres\"\nurl = \"{}\"\n{TABLE}\nstart = \"all\"", server.url);
        let ours = Installation::new(options, "table-load", &source, UNUSED_SINK)?;
        ours.begin_paused()?;
        let contenders = vec![
            Contender::new("keyset SELECT", Ok(Job::floor(&["times-postgres", &server.url])?)),
            Contender::new("COPY", Ok(Job::floor(&["copy-postgres", &server.url])?)).aim(Target::Wall(4.0)),
            Contender::new(report::OURS, Ok(ours.once())).around(|| ours.restore(), || ours.expect_events(count)),
        ];
        let figures = side_by_side(contenders, options.rounds.min(3), &ours.log());
        report::table(&format!("PostgreSQL: {count} rows of 10 columns to committed events"), &figures)?;
    }
    Ok(())
}

/// A look at a table in which nothing happened since the last one, and one that compares all its rows.
fn idle(options: &Options, server: &Server, count: u64) -> Result<()> {
    rows::postgres_with_times(&server.url, count)?;
    let floor = |name: &str| Job::floor(&[name, &server.url]);
    let mut installations = Vec::new();
    for (name, mode) in IDLE {
        let source = format!("kind = \"postgres\"\nurl = \"{}\"\n{TABLE}\nstart = \"now\"\n{mode}", server.url);
        let ours = Installation::new(options, &name.replace([',', ' '], "-"), &source, UNUSED_SINK)?;
        // The first remembers where to begin, the second settles it, the third has a sweep to compare with.
        for _ in 0..3 {
            let_time_pass(server)?;
            ours.run_once()?;
        }
        installations.push((name, ours));
    }
    let mut contenders = vec![
        Contender::new("keyset SELECT of no row", Ok(floor("nothing-postgres")?)),
        Contender::new("count(*)", Ok(floor("count-postgres")?)),
    ];
    for (name, ours) in &installations {
        contenders
            .push(Contender::new(name, Ok(ours.once())).around(|| let_time_pass(server), || ours.expect_events(0)));
    }
    let log = options.dir.join("table.log");
    let figures = side_by_side(contenders, options.rounds, &log);
    report::table(&format!("PostgreSQL: idle poll of {count} rows"), &figures)?;
    // That they looked at all is seen when something does change.
    rows::touch_postgres(&server.url)?;
    for (_, ours) in &installations {
        ours.run_once()?;
        ours.expect_events(1)?;
    }
    Ok(())
}

/// Sweeps are due again, and the server has been at work elsewhere: else its row versions need no look.
fn let_time_pass(server: &Server) -> Result<()> {
    std::thread::sleep(Duration::from_millis(1100));
    rows::stir_postgres(&server.url)
}
