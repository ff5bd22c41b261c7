//! The overview of all commands, grouped by what one wants to do, as `highwater --help` shows it.

use clap::builder::StyledStr;

const GROUPS: [(&str, &[&str]); 6] = [
    ("Set up", &["init", "check", "config", "schema", "completions", "man"]),
    ("Run", &["run", "once", "reload"]),
    ("Look", &["status", "peek", "events", "deliveries", "attempts", "explain", "content", "tail"]),
    ("Steer", &["poll", "pause", "resume", "cancel", "cursor"]),
    ("Repair", &["dead"]),
    ("Try out", &["test", "doctor", "listen"]),
];

/// Puts the grouped overview into the help of the whole command line.
pub fn grouped(command: clap::Command) -> clap::Command {
    let overview = overview(&command);
    command.help_template(format!(
        "{{about}}\n\n{{usage-heading}} {{usage}}\n\n{overview}Options:\n{{options}}{{after-help}}"
    ))
}

fn overview(command: &clap::Command) -> String {
    let about = |name: &str| command.find_subcommand(name).and_then(|sub| sub.get_about()).map(StyledStr::to_string);
    GROUPS.iter().fold(String::new(), |mut text, (title, names)| {
        text.push_str(&format!("{title}:\n"));
        for name in *names {
            // Braces would be read as part of the template.
            let about = about(name).unwrap_or_default().replace(['{', '}'], "");
            text.push_str(&format!("  {name:<12} {about}\n"));
        }
        text.push('\n');
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_stands_in_exactly_one_group() {
        let command = super::super::command_line();
        let mut names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        names.sort_unstable();
        grouped.sort_unstable();
        assert_eq!(names, grouped);
    }

    #[test]
    fn every_command_says_in_one_line_what_it_does() {
        for sub in super::super::command_line().get_subcommands() {
            let about = sub.get_about().map(StyledStr::to_string).unwrap_or_default();
            assert!(!about.is_empty() && about.len() <= 90 && !about.contains('\n'), "{}: {about:?}", sub.get_name());
        }
    }
}
