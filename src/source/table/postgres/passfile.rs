//! The password file of libpq: `host:port:database:user:password`, one a line (PostgreSQL documentation, section 34.16).

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What a password is looked for.
pub struct Wanted<'a> {
    /// The host's name, or `localhost` for a socket in the usual folder.
    pub host: &'a str,
    /// The port.
    pub port: u16,
    /// The database.
    pub database: &'a str,
    /// The user.
    pub user: &'a str,
}

/// The password of the first line that fits; `None` also where others may read the file, as in libpq.
pub fn password(path: &Path, wanted: &Wanted<'_>) -> Option<String> {
    let found = std::fs::metadata(path).ok()?;
    if found.permissions().mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "the password file can be read by others and is not used; chmod 600 it");
        return None;
    }
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| password_of(line, wanted))
}

fn password_of(line: &str, wanted: &Wanted<'_>) -> Option<String> {
    let mut fields = vec![String::new()];
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        let last = fields.last_mut()?;
        match letter {
            '\\' => last.push(letters.next()?),
            ':' => fields.push(String::new()),
            other => last.push(other),
        }
    }
    let [host, port, database, user, password] = <[String; 5]>::try_from(fields).ok()?;
    let fits = |field: &str, value: &str| field == "*" || field == value;
    let all = fits(&host, wanted.host)
        && fits(&port, &wanted.port.to_string())
        && fits(&database, wanted.database)
        && fits(&user, wanted.user);
    all.then_some(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted<'_> = Wanted { host: "db.example", port: 5432, database: "erp", user: "reader" };

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        assert_eq!(password_of("db.example:5432:erp:reader:a\\:b\\\\c", &WANTED).as_deref(), Some("a:b\\c"));
        assert_eq!(password_of("*:*:*:reader:secret", &WANTED).as_deref(), Some("secret"));
        for other in ["*:5433:*:*:x", "other:*:*:*:x", "*:*:*:*", "*:*:*:*:x:y", ""] {
            assert_eq!(password_of(other, &WANTED), None, "{other}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_not_used() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pgpass");
        std::fs::write(&path, "# ours\n*:*:other:*:no\n*:*:erp:*:yes\n").expect("a file");
        for (mode, expected) in [(0o600, Some("yes")), (0o640, None)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("permissions");
            assert_eq!(password(&path, &WANTED).as_deref(), expected);
        }
        assert_eq!(password(&folder.path().join("absent"), &WANTED), None);
    }
}
