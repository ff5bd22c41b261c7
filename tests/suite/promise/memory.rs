//! Memory does not grow with the number of files, the size of a file or the length of a table.

use super::*;

/// All of it, in a debug build too.
const PEAK_KIB_MAX: u64 = 64 * 1024;

/// An installation whose sink is paused: what is measured is the source and the store.
fn paused(configuration: &str) -> Highwater {
    let highwater = plant(configuration);
    once(&highwater, 0);
    highwater.run(&["pause", "erp", "--reason", "measured"]).ok();
    highwater
}

#[test]
fn twenty_thousand_small_files_fit_into_little_memory() {
    let receiver = Receiver::start();
    let highwater = paused(&(orders("") + &erp(&receiver, "content = \"raw\"")));
    for number in 0..20_000 {
        let folder = highwater.path(format!("drop/{}", number % 20));
        if number < 20 {
            std::fs::create_dir(&folder).expect("a folder");
        }
        std::fs::write(folder.join(format!("order-{number}.csv")), number.to_string()).expect("write");
    }
    let first = highwater.peak_of_once(4);
    assert_eq!(sink_status(&highwater, "erp")["pending"], 20_000);
    assert!(first < PEAK_KIB_MAX, "{first} KiB at the first poll");
    let idle = highwater.peak_of_once(4);
    assert!(idle < PEAK_KIB_MAX, "{idle} KiB at an idle poll");
}

#[test]
fn a_large_file_is_hashed_captured_and_delivered_in_little_memory() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("to = [\"load\"]") + &load("") + &erp(&receiver, "")));
    highwater.write_script("load.sh", "cat >/dev/null; wc -c <\"$1\" >counted");
    let large = std::fs::File::create(highwater.path("drop/large.bin")).expect("create");
    large.set_len(200 << 20).expect("a length");
    let peak = highwater.peak_of_once(0);
    assert_eq!(std::fs::read_to_string(highwater.path("counted")).expect("counted").trim(), (200 << 20).to_string());
    assert!(peak < PEAK_KIB_MAX, "{peak} KiB");
}

#[test]
fn a_long_table_fits_into_little_memory() {
    let receiver = Receiver::start();
    let highwater = paused(&(items("") + &erp(&receiver, "")));
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
               INSERT INTO items SELECT i, 'a name that is as long as names are', i FROM n";
    table(&highwater).execute_batch(sql).expect("insert");
    let peak = highwater.peak_of_once(4);
    assert_eq!(sink_status(&highwater, "erp")["pending"], 30_000);
    assert!(peak < PEAK_KIB_MAX, "{peak} KiB");
}
