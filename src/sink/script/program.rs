//! Finding the program of a script sink, and saying in plain words why it can't be started.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::sink::{Outcome, Report};

/// The absolute path of a program: below `base` when it has a slash, else from the folders of `path` (a PATH). Looked up
/// anew at each attempt, so that a repaired script works without a restart.
///
/// # Errors
/// A line that names the program and the remedy.
pub fn find(program: &OsStr, base: &Path, path: &OsStr) -> Result<PathBuf, String> {
    if program.is_empty() {
        return Err("the command is empty".into());
    }
    if program.as_bytes().contains(&b'/') {
        let found: PathBuf = base.join(program).components().collect();
        return check(program, &found).map(|()| found);
    }
    let mut nearly = None;
    for folder in std::env::split_paths(path).filter(|folder| folder.is_absolute()) {
        let candidate = folder.join(program);
        match check(program, &candidate) {
            Ok(()) => return Ok(candidate),
            Err(why) if candidate.is_file() => nearly = Some(why),
            Err(_) => {}
        }
    }
    Err(nearly.unwrap_or_else(|| {
        let (program, path) = (Path::new(program).display(), Path::new(path).display());
        format!("program {program} is not in PATH ({path}); write its path, like ./{program}")
    }))
}

fn check(program: &OsStr, found: &Path) -> Result<(), String> {
    let (program, shown) = (Path::new(program).display(), found.display());
    match found.metadata() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            Err(format!("script {program} is not there ({shown}); put it there, or correct command"))
        }
        Err(e) => Err(format!("script {program} can't be looked at ({shown}: {e})")),
        Ok(metadata) if metadata.is_dir() => Err(format!("script {program} is a folder ({shown})")),
        Ok(_) if access(found, Access::EXEC_OK).is_err() => {
            Err(format!("script {program} is not executable; chmod +x {shown}"))
        }
        Ok(_) => Ok(()),
    }
}

/// What it means that a program that is there could not be started.
pub fn start_failed(program: &Path, cwd: &Path, error: &io::Error) -> Report {
    let shown = program.display();
    let (outcome, summary) = match (error.kind(), error.raw_os_error().map(rustix::io::Errno::from_raw_os_error)) {
        (_, Some(rustix::io::Errno::NOEXEC)) => {
            (Outcome::Fault, format!("script {shown} does not say how to run it; begin it with #!/bin/sh"))
        }
        (_, Some(rustix::io::Errno::TOOBIG)) => {
            (Outcome::Dead, "arguments and environment together are too long for the system".to_owned())
        }
        (io::ErrorKind::NotFound, _) if !cwd.is_dir() => {
            (Outcome::Fault, format!("the working directory {} is not there", cwd.display()))
        }
        (io::ErrorKind::NotFound, _) => {
            let fact = "names an interpreter in its first line that is not there; correct that line";
            (Outcome::Fault, format!("script {shown} {fact}"))
        }
        (io::ErrorKind::PermissionDenied, _) => (Outcome::Fault, format!("script {shown} may not be run: {error}")),
        // Being written just now, or no process free: the next try may find it otherwise.
        _ => (Outcome::Transient { retry_after: None }, format!("script {shown} could not be started: {error}")),
    };
    Report::new(outcome, summary)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_program_is_found_and_a_missing_right_is_named_with_its_remedy() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("load.sh"), "#!/bin/sh\n").expect("write");
        let look = |program: &str| find(OsStr::new(program), folder.path(), folder.path().as_os_str());
        for program in ["./load.sh", "load.sh"] {
            let why = look(program).expect_err("no x");
            assert!(why.contains("is not executable; chmod +x"), "{why}");
        }
        std::fs::set_permissions(path("load.sh"), std::fs::Permissions::from_mode(0o755)).expect("chmod");
        assert_eq!(look("load.sh"), Ok(path("load.sh")));
        assert!(look("./load.sh").is_ok());
        assert!(look("./other.sh").expect_err("missing").contains("is not there"));
        assert!(look("other.sh").expect_err("missing").contains("not in PATH"));
        assert!(look("./").expect_err("folder").contains("is a folder"));
    }
}
