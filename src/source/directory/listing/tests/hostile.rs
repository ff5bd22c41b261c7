//! Any bytes, in any pieces: no panic, no memory without bound, and always the same result.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const FORMATS: [FtpListing; 8] = [
    FtpListing::Auto,
    FtpListing::Unix,
    FtpListing::Dos,
    FtpListing::IbmI,
    FtpListing::Mvs,
    FtpListing::Vms,
    FtpListing::Netware,
    FtpListing::Eplf,
];

/// Lines as servers write them, and pieces of such lines.
fn scraps() -> Vec<&'static [u8]> {
    vec![
        b"-rw-r--r--   1 ftp ftp 321 Nov 20 07:01 name\r\n",
        b"drwxr-xr-x   2 ftp ftp 4096 Nov 20  2025 folder\n",
        b"lrwxrwxrwx 1 a b 7 2026-11-20 07:01 link -> x\n",
        b"total 12\n",
        b"11-20-26  07:01AM       <DIR>          archive\r\n",
        b"20.11.2026  19:02         1.234.567 points.txt\n",
        b"BATCH 40190 26/11/19 18:58:16 *STMF      orders.csv\r\n",
        b"BATCH 40190 11/26/19 18:58:16 *FILE      ORDERS.FILE\r\n",
        b"                              *MEM       ORDERS.FILE/X.MBR\r\n",
        b"Volume Unit    Referred Ext Used Recfm Lrecl BlkSz Dsorg Dsname\n",
        b"PRD001 3390   2026/11/20  1    1  FB      80  8053  PS  ORDERS\n",
        b" Name     VV.MM   Created       Changed      Size  Init   Mod   Id\n",
        b"MEMBER\n",
        b"LONG.NAME;3\n",
        b"   10/12  20-NOV-2026 07:02:10 [A,B] (RWED,,,)\n",
        b"- [RWCEAFMS] rao 214059 Oct 20 15:27    cx.exe\n",
        b"+i1.2,m824255902,r,s5,\tname\r\n",
        b"type=file;size=3;modify=20261120070109; name\r\n",
        b"type=OS.unix=slink:/x;unique=1; ../up\r\n",
        b"Nov 31 24:00 ",
        b"-rwxrwxrwx ",
        b"99999999999999999999 ",
        b" -> ",
        b"\xff\xfe\0",
        b"\xe6\x9c\x88",
        b"\r",
        b"\n",
        b"^",
        b";",
        b"\t",
        b" ",
    ]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let scrap = prop_oneof![
        8 => proptest::sample::select(scraps()).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 0..40),
        1 => "[ -~]{0,60}\n".prop_map(String::into_bytes),
    ];
    vec(scrap, 0..120).prop_map(|scraps| scraps.concat())
}

/// Cuts bytes at arbitrary places.
fn pieces<'a>(bytes: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = bytes;
    let mut cut = Vec::new();
    for size in sizes.iter().cycle().take(10_000) {
        let (piece, behind) = rest.split_at((*size).min(rest.len()));
        cut.push(piece);
        rest = behind;
        if rest.is_empty() {
            break;
        }
    }
    cut.push(rest);
    cut
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_in_any_pieces_are_the_same_listing(bytes in bytes(), sizes in vec(1_usize..200, 1..8)) {
        for format in FORMATS {
            let whole = list(format, "Europe/Berlin", now(), [&bytes[..]]);
            let parts = list(format, "Europe/Berlin", now(), pieces(&bytes, &sizes));
            prop_assert_eq!((&whole.rows, &whole.end), (&parts.rows, &parts.end));
        }
        let whole = mlsd([&bytes[..]]);
        prop_assert_eq!(whole, mlsd(pieces(&bytes, &sizes)));
    }

    #[test]
    fn no_name_leaves_its_folder_or_splits_a_command(bytes in bytes()) {
        for seen in FORMATS.map(|format| list(format, "UTC", now(), [&bytes[..]])).into_iter().chain([mlsd([&bytes[..]])]) {
            for (name, found) in &seen.rows {
                prop_assert!(!name.is_empty() && name != b"." && name != b"..");
                prop_assert!(!name.iter().any(|byte| matches!(byte, b'/' | b'\r' | b'\n' | 0)), "{}", name.escape_ascii());
                prop_assert!(found.precision != Precision::None || found.tuple.mtime_ns == 0);
            }
        }
    }

    #[test]
    fn every_line_is_an_entry_or_passed_or_a_doubt(garbage in vec("[a-z]{1,8}( [a-z]{1,8}){0,3}", 1..200)) {
        let text = garbage.join("\n") + "\n";
        let seen = list(FtpListing::Auto, "UTC", now(), [text.as_bytes()]);
        prop_assert!(seen.rows.is_empty());
        let expected = format!("{0} of {0} lines not understood", garbage.len());
        prop_assert!(matches!(&seen.end, Listing::Doubtful(text) if text.starts_with(&expected)), "{:?}", seen.end);
    }
}

#[test]
fn a_line_without_end_is_not_kept() {
    let block = vec![b'x'; 1 << 20];
    for format in FORMATS {
        let mut reader = ListReader::new(format, "UTC", now()).expect("a zone");
        for _ in 0..64 {
            reader.feed(&block, &mut |_| Ok(())).expect("takes all");
        }
        assert!(reader.kept() <= 512, "{} bytes are kept", reader.kept());
    }
}

#[test]
fn what_waits_for_a_vote_or_for_another_line_is_bounded() {
    let name = [&[b'x'; 60_000][..], b";1\n"].concat();
    for format in FORMATS {
        let mut reader = ListReader::new(format, "UTC", now()).expect("a zone");
        for _ in 0..100 {
            reader.feed(&name, &mut |_| Ok(())).expect("takes all");
            assert!(reader.kept() <= 256 * 1024, "{} bytes are kept", reader.kept());
        }
    }
}
