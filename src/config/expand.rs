//! `${NAME}` and `${NAME:-default}` in texts, from the environment; `$${` stands for `${`.
//! Which texts are expanded is decided by `node`: all of them.

/// A text with its variables replaced.
#[derive(Debug, PartialEq, Eq)]
pub struct Expanded {
    /// The text that stands now.
    pub text: String,
    /// The variables named in it, in order.
    pub variables: Vec<String>,
}

/// Replaces what `text` names by what `environment` answers. As in a shell, the default also stands in for an empty
/// value.
///
/// # Errors
/// Rule and remedy, without any value: an unset variable without default, a `${` without `}`, a bad name.
pub fn expand(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Expanded, String> {
    let mut out = String::with_capacity(text.len());
    let mut variables = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at - 1]);
            out.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let inside = &rest[at + 2..];
        let end = inside.find('}').ok_or("has a \"${\" without \"}\"; write \"$${\" for the text itself")?;
        let (name, default) = match inside[..end].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&inside[..end], None),
        };
        out.push_str(&value_of(name, default, environment)?);
        variables.push(name.to_owned());
        rest = &inside[end + 1..];
    }
    out.push_str(rest);
    Ok(Expanded { text: out, variables })
}

fn value_of(name: &str, default: Option<&str>, environment: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let first_ok = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !first_ok || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err("has a \"${\" that names no variable; write ${NAME}, or \"$${\" for the text itself".into());
    }
    match (environment(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(format!(
            "names ${{{name}}}, which is not set; export {name}, or write ${{{name}:-default}}, or \"$${{\" for the text itself"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("erp".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn text_of(text: &str) -> String {
        expand(text, &environment).expect("expands").text
    }

    #[test]
    fn variables_defaults_and_escapes_are_replaced() {
        assert_eq!(text_of("http://${HOST}/in"), "http://erp/in");
        assert_eq!(text_of("${NONE:-a}${HOST:-b}${EMPTY:-c}[${EMPTY}]"), "aerpc[]");
        assert_eq!(text_of("$${HOST} $5 ${HOST}"), "${HOST} $5 erp");
        assert_eq!(expand("${HOST}", &environment).expect("expands").variables, ["HOST"]);
    }

    #[test]
    fn an_unset_variable_is_an_error_with_the_remedies() {
        let rule = expand("${NONE}", &environment).expect_err("unset");
        assert!(rule.contains("${NONE}") && rule.contains("export NONE") && rule.contains("${NONE:-default}"));
        assert!(expand("${HOST", &environment).expect_err("open").contains("without \"}\""));
        assert!(expand("${}", &environment).expect_err("nameless").contains("names no variable"));
        assert!(expand("${A B}", &environment).is_err());
    }
}
