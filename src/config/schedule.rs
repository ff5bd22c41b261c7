//! When a source is polled: `every`, or `schedule` with `schedule_timezone`. Working out the next time belongs to `poll`.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use schemars::{Schema, SchemaGenerator, json_schema};

use super::node::written_text;
use super::reading::{At, Reading};
use super::section::{Keys, Located, Setting, section};
use super::value::Wait;
use crate::source::settings::Schedule;

section! {
    /// When a source is polled.
    pub struct CalendarSection later ["window", "expect"] {
        /// A cron expression of five or six fields, instead of `every`.
        schedule: Option<Located<CronText>>,
        /// The time zone of `schedule`, like `Europe/Berlin`; UTC when absent.
        schedule_timezone: Option<Located<Timezone>>,
    }
}

/// A cron expression that comes true some day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronText(pub String);

/// An IANA time zone that this machine knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timezone(pub String);

/// Decides between `every` and `schedule`.
pub fn schedule(every: &Located<Wait>, calendar: &CalendarSection, keys: &Keys<'_>, reading: &mut Reading) -> Schedule {
    let path = keys.path();
    let Some(cron) = &calendar.schedule else {
        if let Some(zone) = &calendar.schedule_timezone {
            let rule = "schedule_timezone has no effect without schedule; remove it or add schedule";
            reading.problem(&zone.place, format!("{path}.{rule}"));
        }
        return Schedule::Every(every.value.0);
    };
    if every.place.is_written() {
        let text = format!("{path}.schedule and every exclude each other; remove one (every is at {})", every.place);
        reading.problem(&cron.place, text);
    }
    reading.forget(&keys.section, "every");
    let timezone = calendar.schedule_timezone.as_ref().map_or("UTC", |zone| zone.value.0.as_str());
    Schedule::Cron { expression: cron.value.0.clone(), timezone: timezone.to_owned() }
}

fn check_cron(text: &str) -> Result<(), String> {
    let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
    let example = "write minute hour day month weekday, like \"*/5 6-20 * * 1-5\"";
    let cron: Cron = parser.parse(text).map_err(|error| format!("is not a cron expression ({error}); {example}"))?;
    // Any start will do: the question is whether it comes true at all. Leap days come within eight years of 2026.
    let start = jiff::civil::date(2026, 1, 1).at(0, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC);
    let start = start.map_err(|error| error.to_string())?;
    match cron.find_next_occurrence(&start, true) {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("never comes true; {example}")),
    }
}

impl Setting for CronText {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        reading.parsed(at, |text| check_cron(text).map(|()| Self(text.to_owned())))
    }

    fn shown(&self) -> Option<String> {
        Some(written_text(&self.0))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

impl Setting for Timezone {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        reading.parsed(at, |text| match jiff::tz::TimeZone::get(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => Err("is not a time zone this machine knows; write one like \"Europe/Berlin\"".into()),
        })
    }

    fn shown(&self) -> Option<String> {
        Some(written_text(&self.0))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cron_expression_has_five_or_six_fields_and_comes_true() {
        for good in ["*/5 6-20 * * 1-5", "0 */5 6-20 * * 1-5", "0 0 29 2 *", "@daily"] {
            assert_eq!(check_cron(good), Ok(()), "{good}");
        }
        for bad in ["", "* * * *", "61 * * * *", "every day", "0 0 1 1 * 2030 7 8"] {
            assert!(check_cron(bad).expect_err(bad).contains("is not a cron expression"), "{bad}");
        }
        assert!(check_cron("0 0 30 2 *").expect_err("never").contains("never comes true"));
    }
}
