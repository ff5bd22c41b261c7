//! What directories on servers share: the server by name or by address, the folder there, `claim`. The protocols' own
//! keys belong to `ftp` and `sftp`.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::address::{Scheme, ServerAddress};
use super::nearest::nearest;
use super::node::written_text;
use super::reading::{At, Reading, quoted_text};
use super::section::{Keys, Located, Setting, section};
use super::server::{Inherited, ServerDraft, ServerSection, check_keys, check_proxy, warn_of_plain_text};
use super::source::Brake;
use super::value::{DAY, Name, Span, Wait};
use crate::setting::Template;

section! {
    /// A directory on a server.
    pub struct RemoteSection {
        /// The name of the [server.NAME] it is on. Keys of the server that are not here are taken from there.
        server: Option<Located<Name>>,
        /// The server's address, instead of `server`: ftp://, ftps://, ftps+implicit:// or sftp://user@host.
        url: Option<Located<ServerAddress>>,
        /// The folder on the server, absolute or relative to the login folder; absent, the login folder.
        path: Option<Located<RemotePath>>,
        /// Where a file is renamed to before it is fetched, relative to `path`: "work/{name}".
        claim: Option<Located<Claim>>,
        /// How long a file must stand still before it is fetched; "0s" takes it on sight.
        stable_for: Span<0, DAY> = "10s",
        /// A full look at the folder starts this long after the start of the one before.
        every: Located<Wait> = "30s",
        /// More new entries than this in one poll hold the source until `cursor NAME accept`; "none" lifts the brake.
        max_new: Brake = 100_000,
    }
}

/// The keys of a remote source and those that its server gave it.
pub struct Remote<'a> {
    /// What the source inherits.
    pub inherited: &'a Inherited,
    /// Every server there is.
    pub servers: &'a [ServerDraft],
    /// The kind's word.
    pub kind: &'static str,
}

impl Remote<'_> {
    /// The address of the source's server; `None` when there is none that fits, which was reported.
    pub fn address(
        &self,
        keys: &mut Keys<'_>,
        section: &RemoteSection,
        reading: &mut Reading,
    ) -> Option<Located<ServerAddress>> {
        let path = keys.path();
        let own = section.url.as_ref().filter(|_| !self.is_inherited("url"));
        if let (Some(server), Some(url)) = (&section.server, own) {
            let text = format!("{path}.url and server exclude each other; remove one (server is at {})", server.place);
            reading.problem(&url.place, text);
            return None;
        }
        if let Some(server) = &section.server
            && !self.is_known(server, &path, reading)
        {
            return None;
        }
        let Some(url) = &section.url else {
            // Silent when one of them was there and wrong: that was reported.
            if !keys.has("server") && !keys.has("url") {
                let example = format!("add for example url = \"{}\"", if self.kind == "sftp" { SFTP } else { FTPS });
                reading.missing(&keys.place.clone(), format!("{path} has neither \"server\" nor \"url\"; {example}"));
            }
            return None;
        };
        let fits = (url.value.scheme == Scheme::Sftp) == (self.kind == "sftp");
        if !fits {
            let (key, place, written) = match &section.server {
                Some(server) => ("server", &server.place, &server.value.0),
                None => ("url", &url.place, &url.value.host),
            };
            let (what, kind) = if self.kind == "sftp" { ("an FTP", "ftp") } else { ("an SFTP", "sftp") };
            let text = format!("{path}.{key} = {} is {what} server; write kind = \"{kind}\"", quoted_text(written));
            reading.problem(place, text);
            return None;
        }
        if url.value.scheme != Scheme::Sftp {
            check_keys(keys, url.value.scheme, reading);
        }
        Some(url.clone())
    }

    /// What is to be said of the server's keys beside its address.
    pub fn check(&self, keys: &Keys<'_>, url: &Located<ServerAddress>, server: &ServerSection, reading: &mut Reading) {
        let own = |key| keys.has(key) && !self.is_inherited(key);
        if own("proxy") || own("proxy_password") {
            check_proxy(server, &keys.path(), reading);
        }
        if server.password.is_some() && (own("url") || own("password")) {
            warn_of_plain_text(url, &keys.path(), reading);
        }
    }

    /// The folder: the source's own `path`, else what its address says, else the login folder.
    pub fn path(&self, section: &RemoteSection, url: &ServerAddress, keys: &Keys<'_>, reading: &mut Reading) -> String {
        match (&section.path, &url.path) {
            (Some(path), Some(other)) => {
                let rule =
                    format!("and the path in url exclude each other; remove one (url says {})", quoted_text(other));
                reading.problem(&path.place, format!("{}.path {rule}", keys.path()));
                String::new()
            }
            (Some(path), None) => path.value.0.clone(),
            (None, Some(path)) => without_end(path).to_owned(),
            (None, None) => String::new(),
        }
    }

    fn is_inherited(&self, key: &str) -> bool {
        self.inherited.keys.iter().any(|inherited| inherited == key)
    }

    fn is_known(&self, server: &Located<Name>, path: &str, reading: &mut Reading) -> bool {
        let name = server.value.0.as_str();
        if let Some(known) = self.servers.iter().find(|known| known.name == name) {
            return known.is_sound;
        }
        let names = || self.servers.iter().map(|server| server.name.as_str());
        let remedy = match nearest(name, names()) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None if self.servers.is_empty() => format!("there is none; add a [server.{name}]"),
            None => format!("known are {}; or add a [server.{name}]", names().collect::<Vec<_>>().join(", ")),
        };
        let text = format!("{path}.server = {} is not the name of a server; {remedy}", quoted_text(name));
        if !server.place.is_in_broken_file() {
            reading.problem(&server.place, text);
        }
        false
    }
}

const FTPS: &str = "ftps://user@ftp.example.com";
const SFTP: &str = "sftp://user@sftp.example.com";

fn without_end(path: &str) -> &str {
    let short = path.trim_end_matches('/');
    if short.is_empty() && !path.is_empty() { "/" } else { short }
}

/// A folder on a server, without `/` at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemotePath(pub String);

impl Setting for RemotePath {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        reading.parsed(at, |text| match text {
            "" => Err("is empty; remove the key for the login folder, or write \"/\" for the root".into()),
            text if text.contains(['\r', '\n', '\0']) => Err("holds a line break or NUL; write a path".into()),
            text => Ok(Self(without_end(text).to_owned())),
        })
    }

    fn shown(&self) -> Option<String> {
        Some(written_text(&self.0))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

/// Where files are renamed to before they are fetched: a folder of its own, and the file's name in it. From such a name
/// the file's own can be told again, when a crash left it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim(pub Template);

fn parse_claim(text: &str) -> Result<Claim, String> {
    let example = "write one like \"work/{name}\"";
    let template = Template::parse(text, &[])?;
    let (mut names, mut others) = (0, 0);
    let rendered = template.render(|hole| {
        match hole.name.as_str() {
            "name" | "path" | "key" => names += 1,
            _ => others += 1,
        }
        "\u{1}".to_owned()
    });
    if others > 0 || names != 1 {
        return Err(format!("must hold {{name}} once and no other placeholder; {example}"));
    }
    let (before, after) = rendered.split_once('\u{1}').unwrap_or((&rendered, ""));
    let folder = before.strip_suffix('/').unwrap_or_default();
    let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    if !is_plain(folder) || folder.contains('/') || after.contains('/') {
        return Err(format!("is not a folder of its own below path and the file's name in it; {example}"));
    }
    Ok(Claim(template))
}

impl Setting for Claim {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        reading.parsed(at, parse_claim)
    }

    fn shown(&self) -> Option<String> {
        Some(written_text(self.0.as_str()))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_a_folder_of_its_own_and_the_files_name() {
        for good in ["work/{name}", "a/{path}.busy", "in-work/{key}"] {
            assert!(parse_claim(good).is_ok(), "{good}");
        }
        for bad in
            ["{name}", "{name}.b", "w", "w/{date}/{name}", "w/{name}{name}", "/w/{name}", "a/b/{name}", "w/x-{name}"]
        {
            assert!(parse_claim(bad).is_err_and(|rule| rule.contains("work/{name}")), "{bad}");
        }
    }

    #[test]
    fn a_folder_has_no_slash_at_its_end() {
        assert_eq!(
            (without_end("/in/"), without_end("in"), without_end("//"), without_end("")),
            ("/in", "in", "/", "")
        );
    }
}
