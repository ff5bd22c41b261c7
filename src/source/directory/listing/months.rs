//! Names of months as servers write them in their own languages: English, German, French, Spanish, Italian, Portuguese,
//! Dutch, Polish, Czech, Russian, Swedish, Danish, Norwegian and Finnish. No name stands for two months.

/// 1 to 12 for the short or full name of a month in UTF-8 or an ISO 8859 encoding, in any case, with or without a point.
pub fn month(word: &[u8]) -> Option<i8> {
    if let [a, b, c] = word
        && let Some(month) = three_letters([a | 0x20, b | 0x20, c | 0x20])
    {
        return Some(month);
    }
    // The longest name has 9 letters of 2 bytes and a point.
    if word.len() > 20 || word.len() < 2 || word[0].is_ascii_digit() {
        return None;
    }
    let text = match std::str::from_utf8(word) {
        Ok(text) => text.to_lowercase(),
        Err(_) => word.iter().map(|byte| char::from(*byte)).collect::<String>().to_lowercase(),
    };
    let text = text.trim_end_matches(['.', ',']);
    let same = |names: &&[&str]| names.contains(&text);
    let at = NAMES.iter().position(same)?;
    i8::try_from(at + 1).ok()
}

/// The names that are three ASCII letters: nearly all lines have one.
fn three_letters(lower: [u8; 3]) -> Option<i8> {
    Some(match &lower {
        b"jan" | b"ene" | b"gen" | b"sty" | b"led" => 1,
        b"feb" | b"fev" | b"lut" => 2,
        b"mar" | b"mrt" | b"mrz" => 3,
        b"apr" | b"avr" | b"abr" | b"kwi" | b"dub" => 4,
        b"may" | b"mai" | b"mag" | b"mei" | b"maj" => 5,
        b"jun" | b"giu" | b"cze" => 6,
        b"jul" | b"jui" | b"lug" | b"lip" => 7,
        b"aug" | b"ago" | b"sie" | b"srp" => 8,
        b"sep" | b"set" | b"wrz" => 9,
        b"oct" | b"okt" | b"ott" | b"out" | b"paz" => 10,
        b"nov" | b"lis" => 11,
        b"dec" | b"dez" | b"dic" | b"des" | b"gru" | b"pro" => 12,
        _ => return None,
    })
}

/// What is longer, or not ASCII. Letters of ISO 8859-2 appear as ISO 8859-1 shows them.
const NAMES: [&[&str]; 12] = [
    &["jan", "ene", "gen", "sty", "led", "janv", "january", "januar", "tammi", "tammikuu", "янв", "января", "январь"],
    &["feb", "fev", "lut", "fév", "févr", "fevr", "febr", "úno", "helmi", "helmikuu", "фев", "февр", "февраля"],
    &[
        "mar",
        "mrt",
        "mrz",
        "mär",
        "märz",
        "mars",
        "marzo",
        "march",
        "bře",
        "bøe",
        "maalis",
        "maaliskuu",
        "мар",
        "марта",
    ],
    &["apr", "avr", "abr", "kwi", "dub", "avril", "april", "huhti", "huhtikuu", "апр", "апреля", "апрель"],
    &["may", "mai", "mag", "mei", "maj", "kvě", "kvì", "touko", "toukokuu", "май", "мая"],
    &["jun", "giu", "cze", "juin", "juni", "june", "čen", "èen", "čvn", "kesä", "kesäkuu", "июн", "июня", "июнь"],
    &[
        "jul",
        "jui",
        "lug",
        "lip",
        "juil",
        "juli",
        "july",
        "čec",
        "èec",
        "čvc",
        "heinä",
        "heinäkuu",
        "июл",
        "июля",
        "июль",
    ],
    &["aug", "ago", "sie", "srp", "aoû", "août", "aout", "august", "elo", "elokuu", "авг", "августа"],
    &["sep", "set", "wrz", "sept", "zář", "záø", "syys", "syyskuu", "сен", "сент", "сентября"],
    &["oct", "okt", "ott", "out", "paz", "paź", "pa¼", "říj", "øíj", "loka", "lokakuu", "окт", "октября"],
    &["nov", "lis", "marras", "marraskuu", "ноя", "нояб", "ноября"],
    &["dec", "dez", "dic", "des", "gru", "pro", "déc", "joulu", "joulukuu", "дек", "декабря"],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_months_of_fourteen_languages_are_known() {
        let years = [
            "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
            "Jan Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez",
            "janv. févr. mars avril mai juin juil. août sept. oct. nov. déc.",
            "jan fév mar avr mai jun jui aoû sep oct nov déc",
            "ene feb mar abr may jun jul ago sep oct nov dic",
            "gen feb mar apr mag giu lug ago set ott nov dic",
            "jan fev mar abr mai jun jul ago set out nov dez",
            "jan feb mrt apr mei jun jul aug sep okt nov dec",
            "sty lut mar kwi maj cze lip sie wrz paź lis gru",
            "led úno bře dub kvě čen čec srp zář říj lis pro",
            "янв фев мар апр мая июн июл авг сен окт ноя дек",
            "Янв Фев Мар Апр Май Июн Июл Авг Сен Окт Ноя Дек",
            "jan feb mar apr maj jun jul aug sep okt nov dec",
            "jan. feb. mars april mai juni juli aug. sep. okt. nov. des.",
            "tammi helmi maalis huhti touko kesä heinä elo syys loka marras joulu",
        ];
        for year in years {
            let read: Vec<_> = year.split(' ').map(|name| month(name.as_bytes())).collect();
            let expected: Vec<_> = (1..=12).map(Some).collect();
            assert_eq!(read, expected, "{year}");
        }
    }

    #[test]
    fn no_name_stands_for_two_months() {
        let mut seen = std::collections::BTreeMap::new();
        for (at, names) in NAMES.iter().enumerate() {
            for name in *names {
                assert_eq!(*seen.entry(*name).or_insert(at), at, "{name}");
            }
        }
    }

    #[test]
    fn names_in_iso_8859_are_read() {
        let words: [(&[u8], i8); 5] =
            [(b"M\xe4r", 3), (b"d\xe9c.", 12), (b"ao\xfbt", 8), (b"pa\xbc", 10), (b"\xf8\xedj", 10)];
        for (word, expected) in words {
            assert_eq!(month(word), Some(expected), "{}", word.escape_ascii());
        }
    }

    #[test]
    fn other_words_are_no_months() {
        for word in ["", "x", "11", "foo", "mayor", "janfeb", "user", "*.*"] {
            assert_eq!(month(word.as_bytes()), None, "{word}");
        }
    }
}
