//! The codec against packets as servers send them, and against any bytes.

use bytes::{BufMut, BytesMut};
use proptest::prelude::*;

use super::*;

fn text(out: &mut BytesMut, text: &[u8]) {
    out.put_u32(text.len() as u32);
    out.put_slice(text);
}

#[test]
fn a_request_carries_its_length_and_its_id() {
    let packet = Request::read(b"h", 7, 32_768).with_id(9);
    assert_eq!(&packet[..], b"\0\0\0\x16\x05\0\0\0\x09\0\0\0\x01h\0\0\0\0\0\0\0\x07\0\0\x80\0");
    assert_eq!(&Request::init()[..], b"\0\0\0\x05\x01\0\0\0\x03");
    assert_eq!(&Request::lstat(b"/\xff").with_id(1)[..], b"\0\0\0\x0b\x07\0\0\0\x01\0\0\0\x02/\xff");
}

#[test]
fn names_keep_their_bytes_and_their_attributes() {
    let mut packet = BytesMut::new();
    packet.put_slice(&[104, 0, 0, 0, 5, 0, 0, 0, 2]);
    text(&mut packet, b"a\xffb");
    text(&mut packet, b"-rw-r--r-- anything");
    packet.put_u32(0x8000_000d);
    packet.put_u64(17);
    packet.put_u32(0o100_644);
    packet.put_slice(&[0, 0, 0, 1, 0, 0, 0, 2]);
    packet.put_u32(1);
    text(&mut packet, b"acl");
    text(&mut packet, b"x");
    text(&mut packet, b"bare");
    text(&mut packet, b"");
    packet.put_u32(0);
    let (id, reply) = parse(packet.freeze()).expect("a packet");
    let Reply::Names(names) = reply else { panic!("{reply:?}") };
    assert_eq!((id, names.len(), &names[0].name[..]), (5, 2, &b"a\xffb"[..]));
    let told = Attributes { size: Some(17), permissions: Some(0o100_644), modified: Some(2) };
    assert_eq!((names[0].attributes, names[1].attributes), (told, Attributes::default()));
}

#[test]
fn a_status_without_a_message_is_taken_and_one_with_control_characters_is_escaped() {
    let bare = parse(Bytes::from_static(&[101, 0, 0, 0, 1, 0, 0, 0, 2])).expect("a packet");
    assert_eq!(bare, (1, Reply::Status(Status { code: 2, message: String::new() })));
    let loud = Bytes::from_static(b"\x65\0\0\0\x01\0\0\0\x04\0\0\0\x04a\x1b[m\0\0\0\0");
    let (_, Reply::Status(status)) = parse(loud).expect("a packet") else { panic!("a status") };
    assert_eq!(status.message, "a\\u{1b}[m");
}

#[test]
fn a_packet_comes_whole_or_not_at_all() {
    let mut come = BytesMut::from(&b"\0\0\0\x05\x66\0\0"[..]);
    assert_eq!(next_packet(&mut come), Ok(None));
    come.put_slice(b"\0\x01rest");
    assert_eq!(next_packet(&mut come), Ok(Some(Bytes::from_static(b"\x66\0\0\0\x01"))));
    assert_eq!(&come[..], b"rest");
}

#[test]
fn a_shell_that_talks_and_a_packet_that_is_too_long_are_refused() {
    // What a login script prints comes before the first packet: "Welc" read as a length.
    assert!(next_packet(&mut BytesMut::from(&b"Welcome"[..])).is_err());
    assert!(next_packet(&mut BytesMut::from(&b"\0\0\0\0"[..])).is_err());
    let lie = Bytes::from_static(b"\x68\0\0\0\x01\xff\xff\xff\xff");
    assert_eq!(parse(lie), Err(Malformed("more names announced than the packet holds")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn no_bytes_make_the_codec_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0usize..8) {
        let kind = [2, 101, 102, 103, 104, 105, 201, 77][kind];
        let mut packet = vec![kind];
        packet.extend_from_slice(&bytes);
        drop(parse(packet.into()));
        let mut come = BytesMut::from(&bytes[..]);
        while let Ok(Some(packet)) = next_packet(&mut come) {
            drop(parse(packet));
        }
    }
}
