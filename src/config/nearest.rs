//! The known word a mistyped one was probably meant to be.
//! Where words come from, and what is said about them, belongs to those who ask.

/// The candidate fewest edits away from `word`; `None` when all are too different to be meant.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word = word.to_ascii_lowercase();
    let edits_max = (word.chars().count() / 3).clamp(1, 3);
    let measured = candidates.into_iter().map(|known| {
        let edits = strsim::damerau_levenshtein(&word, &known.to_ascii_lowercase());
        // A word cut short or drawn out (`pass`, `paths`) is meant more often than its distance says.
        let begins = word.len() >= 3 && (known.starts_with(&word) || word.starts_with(known) && known.len() >= 3);
        (if begins { edits.min(1) } else { edits }, known)
    });
    measured.filter(|(edits, _)| *edits <= edits_max).min_by_key(|(edits, _)| *edits).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_another_word_is_not() {
        assert_eq!(nearest("hots", ["host", "port"]), Some("host"));
        assert_eq!(nearest("stable", ["start", "stable_for"]), Some("stable_for"));
        assert_eq!(nearest("EVERY", ["every"]), Some("every"));
        assert_eq!(nearest("colour", ["host", "port"]), None);
    }
}
