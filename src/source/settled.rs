//! How far the cursor of a table has settled, as it is stored and shown. Finding it out belongs to `table`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How far the cursor of a table has settled, for `status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settled {
    /// The way to settle that is in use: `row-version`, `fence`, `overlap:60s`.
    pub mode: String,
    /// SAFE: everything at or below it has been seen.
    pub safe: Option<String>,
    /// How far SAFE is behind the database's clock, where it is a point in time.
    #[serde(rename = "lag_ms", with = "millis")]
    pub lag: Option<Duration>,
    /// Who keeps SAFE from moving, a line each: process, user, application, since when.
    pub held_by: Vec<String>,
    /// Rows that sweeps found and polls had missed, since the cursor began.
    pub late_found: u64,
    /// How often dear scans run, where they don't in every poll.
    pub pace: Option<String>,
}

impl Settled {
    /// As it is stored.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("it is made of strings and numbers")
    }

    /// Reads what was stored; `None` where that is not understood: the next poll writes it anew.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Whether SAFE waits for anybody: where one writer at a time is certain there is nothing to say.
    pub fn waits(&self) -> bool {
        self.mode != "inclusive"
    }

    /// For people, a line for SAFE and one for each that holds it.
    pub fn lines(&self) -> Vec<String> {
        let safe = match (&self.safe, self.lag) {
            (None, _) => "nothing has settled yet".to_owned(),
            (Some(safe), Some(lag)) if !lag.is_zero() => {
                format!("settled up to {safe}, {} s behind the database's clock", lag.as_secs())
            }
            (Some(safe), _) => format!("settled up to {safe}"),
        };
        let late = match self.late_found {
            0 => String::new(),
            count => format!("; sweeps found {count} that polls had missed"),
        };
        let held = self.held_by.iter().map(|holder| format!("settling waits for {holder}"));
        std::iter::once(format!("{safe} ({}){late}", self.mode)).chain(self.pace.clone()).chain(held).collect()
    }
}

/// A span as whole milliseconds.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(span: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        span.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX)).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_back_and_an_older_text_reads_as_well() {
        let settled = Settled {
            mode: "fence".into(),
            safe: Some("7".into()),
            lag: Some(Duration::from_millis(75_500)),
            held_by: vec!["pid 4711, user erp".into()],
            late_found: 2,
            pace: None,
        };
        assert_eq!(Settled::parse(&settled.to_text()), Some(settled.clone()));
        assert_eq!(Settled::parse("{\"mode\":\"fence\"}").map(|read| read.mode).as_deref(), Some("fence"));
        assert_eq!(Settled::parse("x"), None);
        let first = "settled up to 7, 75 s behind the database's clock (fence); sweeps found 2 that polls had missed";
        assert_eq!(settled.lines(), [first, "settling waits for pid 4711, user erp"]);
    }
}
