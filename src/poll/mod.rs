//! One round: lease, look, diff, commit; and when the next round is due.
