//! What a database is reached by: one text, which may hold a password. What it must look like is each database's own rule.

use std::marker::PhantomData;

use schemars::{Schema, SchemaGenerator};

use super::reading::{At, Quoting, Reading, Secrets};
use super::section::Setting;
use crate::setting::Secret;

/// What the text must look like for one kind of database.
pub trait Rule {
    /// Whether `text` can be one at all.
    fn accepts(text: &str) -> bool;

    /// What is wrong with any other, and what to write.
    const REMEDY: &'static str;
}

/// A connection as [`Rule`] `R` wants it.
#[derive(Debug, Clone)]
pub struct Connection<R>(pub Secret, PhantomData<R>);

impl<R: Rule> Setting for Connection<R> {
    const QUOTING: Quoting = Secret::QUOTING;

    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        let secret = Secret::read(at, reading)?;
        // A secret that is not looked at now was read once by `Secret::read` when it had to be there.
        if reading.secrets == Secrets::MustBeThere && secret.reveal().is_ok_and(|text| !R::accepts(&text)) {
            reading.reject(at, R::REMEDY);
            return None;
        }
        Some(Self(secret, PhantomData))
    }

    fn shown(&self) -> Option<String> {
        self.0.shown()
    }

    fn origin(&self) -> Option<String> {
        Setting::origin(&self.0)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        Secret::schema(generator)
    }
}
