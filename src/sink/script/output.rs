//! What a script printed: everything is taken, so that it never waits for us; the first and the last part are kept, with
//! known secrets made unreadable.

use std::collections::VecDeque;

use crate::sink::mask::mask;

/// So many of the first bytes are kept.
pub const HEAD_BYTES: usize = 16 * 1024;
/// So many of the last bytes are kept.
pub const TAIL_BYTES: usize = 48 * 1024;

/// Standard output and standard error, as they came.
#[derive(Debug)]
pub struct Output {
    secrets: Vec<Vec<u8>>,
    /// How much more is kept on both sides of the gap, so that a secret cut in two is still recognised.
    margin: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
}

impl Output {
    /// An empty output in which `secrets` will be made unreadable.
    pub fn new(secrets: Vec<Vec<u8>>) -> Self {
        let margin = secrets.iter().map(Vec::len).max().unwrap_or(0).saturating_sub(1);
        Self { secrets, margin, head: Vec::new(), tail: VecDeque::new(), total: 0 }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let room = HEAD_BYTES + self.margin - self.head.len();
        self.head.extend_from_slice(&bytes[..room.min(bytes.len())]);
        // The tail holds every last byte, whether the head has it too or not.
        let most = TAIL_BYTES + self.margin;
        let bytes = &bytes[bytes.len().saturating_sub(most)..];
        let excess = (self.tail.len() + bytes.len()).saturating_sub(most);
        self.tail.drain(..excess.min(self.tail.len()));
        self.tail.extend(bytes);
    }

    /// The parts kept, with a line in between that says how much is left out.
    pub fn finish(self) -> Vec<u8> {
        let Self { secrets, mut head, tail, total, .. } = self;
        let mut tail = Vec::from(tail);
        if total <= (HEAD_BYTES + TAIL_BYTES) as u64 {
            // Nothing is left out: what the head lacks is the end of the tail.
            let missing = usize::try_from(total).unwrap_or(usize::MAX) - head.len();
            head.extend_from_slice(&tail[tail.len() - missing..]);
            mask(&mut head, &secrets);
            return head;
        }
        mask(&mut head, &secrets);
        mask(&mut tail, &secrets);
        head.truncate(HEAD_BYTES);
        let left_out = total - (HEAD_BYTES + TAIL_BYTES) as u64;
        head.extend_from_slice(format!("\n... {left_out} bytes left out ...\n").as_bytes());
        head.extend_from_slice(&tail[tail.len() - TAIL_BYTES..]);
        head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(pieces: &[&[u8]], secrets: &[&[u8]]) -> Vec<u8> {
        let mut output = Output::new(secrets.iter().map(|s| s.to_vec()).collect());
        pieces.iter().for_each(|piece| output.push(piece));
        output.finish()
    }

    #[test]
    fn up_to_64_kib_everything_is_kept() {
        assert_eq!(output(&[b"a", b"", b"bc"], &[]), b"abc");
        let all: Vec<u8> = (0..HEAD_BYTES + TAIL_BYTES).map(|i| (i % 251) as u8).collect();
        assert_eq!(output(&[&all], &[b"nothing"]), all);
        let pieces: Vec<&[u8]> = all.chunks(1000).collect();
        assert_eq!(output(&pieces, &[]), all);
    }

    #[test]
    fn of_more_the_first_and_the_last_part_are_kept() {
        let all: Vec<u8> = (0..1_000_000).map(|i| (i % 251) as u8).collect();
        let kept = output(&all.chunks(70_001).collect::<Vec<_>>(), &[]);
        assert_eq!(kept[..HEAD_BYTES], all[..HEAD_BYTES]);
        assert_eq!(kept[kept.len() - TAIL_BYTES..], all[all.len() - TAIL_BYTES..]);
        let marker = format!("\n... {} bytes left out ...\n", 1_000_000 - HEAD_BYTES - TAIL_BYTES);
        assert_eq!(kept[HEAD_BYTES..kept.len() - TAIL_BYTES], *marker.as_bytes());
    }

    #[test]
    fn secrets_are_unreadable_even_where_the_cut_goes_through_them() {
        assert_eq!(output(&[b"pw=hun", b"ter2 hunter2"], &[b"hunter2"]), b"pw=******* *******");
        let mut all = vec![b'.'; 200_000];
        let second_cut = all.len() - TAIL_BYTES;
        for at in [HEAD_BYTES - 3, second_cut - 3] {
            all[at..at + 7].copy_from_slice(b"hunter2");
        }
        let kept = String::from_utf8(output(&[&all], &[b"hunter2"])).expect("text");
        assert!(!kept.contains("hun") && !kept.contains("ter2"));
    }
}
