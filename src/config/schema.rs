//! The JSON Schema.

pub fn json() -> String {
    "{}".into()
}
