//! The values settings are made of: names, durations, sizes, secrets and placeholder templates.
//! Which settings exist, and reading them from a file, belongs to `config`.

pub mod byte_count;
pub mod interval;
pub mod name;
pub mod secret;
pub mod template;

pub use byte_count::ByteCount;
pub use interval::Interval;
pub use name::{SinkName, SourceName};
pub use secret::Secret;
pub use template::Template;
