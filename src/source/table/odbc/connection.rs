//! Connection strings: what is in them, and what of it may be shown.

/// The keys and values of a connection string, in order; braces around values are taken off.
pub fn attributes(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.trim_start_matches(|letter: char| letter == ';' || letter.is_whitespace()).trim_end().to_owned();
        let (value, behind) = value(after);
        rest = behind;
        found.push((key, value));
    }
    found
}

fn value(text: &str) -> (String, &str) {
    let Some(inner) = text.trim_start().strip_prefix('{') else {
        let end = text.find(';').unwrap_or(text.len());
        return (text[..end].trim().to_owned(), text.get(end + 1..).unwrap_or_default());
    };
    let mut value = String::new();
    let mut letters = inner.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        if letter != '}' {
            value.push(letter);
        } else if letters.next_if(|(_, next)| *next == '}').is_some() {
            value.push('}');
        } else {
            let behind = &inner[at + 1..];
            return (value, behind.split_once(';').map_or("", |(_, rest)| rest));
        }
    }
    (value, "")
}

/// The first value of the keys `names`, whatever their case.
pub fn named<'a>(attributes: &'a [(String, String)], names: &[&str]) -> Option<&'a str> {
    let is_one = |key: &str| names.iter().any(|name| name.eq_ignore_ascii_case(key));
    attributes.iter().find(|(key, _)| is_one(key)).map(|(_, value)| value.as_str())
}

/// The password in the connection string.
pub fn password(attributes: &[(String, String)]) -> Option<&str> {
    named(attributes, &["PWD", "Password"])
}

/// The user in the connection string.
pub fn user(attributes: &[(String, String)]) -> &str {
    named(attributes, &["UID", "User", "Username", "User ID"]).unwrap_or_default()
}

/// Where it leads, without secrets: `odbc:psqlodbcw.so/db.example.com:5432/erp`.
pub fn location(attributes: &[(String, String)]) -> String {
    let word = |names: &[&str]| named(attributes, names).unwrap_or_default();
    let driver = word(&["Driver", "DSN", "FileDSN"]);
    let driver = driver.rsplit('/').next().unwrap_or_default();
    let server = word(&["Server", "Servername", "Host", "Hostname", "System", "DBQ", "DBName"]);
    let port = word(&["Port"]);
    let database = word(&["Database", "DB", "DBALIAS"]);
    let server = if port.is_empty() { server.to_owned() } else { format!("{server}:{port}") };
    let parts = [driver, server.as_str(), database];
    format!("odbc:{}", parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/"))
}

/// The connection string with a password.
pub fn with_password(text: &str, password: &str) -> String {
    let text = text.trim_end().trim_end_matches(';');
    format!("{text};PWD={{{}}};", password.replace('}', "}}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_is_taken_apart_and_its_password_never_shown() {
        let text =
            "Driver={ODBC Driver 18 for SQL Server};Server=tcp:db,1433; Database=erp;UID=me;PWD={a;b}}c=};Port=5";
        let found = attributes(text);
        assert_eq!(named(&found, &["driver"]), Some("ODBC Driver 18 for SQL Server"));
        assert_eq!(password(&found), Some("a;b}c="));
        assert_eq!(user(&found), "me");
        assert_eq!(location(&found), "odbc:ODBC Driver 18 for SQL Server/tcp:db,1433:5/erp");
        assert_eq!(location(&attributes("Driver=/usr/lib/odbc/psqlodbcw.so;Servername=db")), "odbc:psqlodbcw.so/db");
        assert!(attributes("nonsense").is_empty());
    }

    #[test]
    fn an_added_password_reads_back() {
        for secret in ["plain", "a;b", "}", "{x}}", "=;{"] {
            let text = with_password("Driver=x;UID=me;", secret);
            assert_eq!(password(&attributes(&text)), Some(secret), "{text}");
        }
    }
}
