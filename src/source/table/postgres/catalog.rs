//! What PostgreSQL's catalogue says of a table: columns, unique keys, the identity. What follows from it is decided in `layout`.

use super::PostgresTable;
use super::layout::CatalogColumn;
use crate::error::Result;
use crate::source::settings::TableFrom;
use crate::source::table::dialect::Dialect;

impl PostgresTable {
    pub(super) fn catalog(&self) -> Result<Vec<CatalogColumn>> {
        let TableFrom::Table(name) = &self.settings.table.from else { return Ok(Vec::new()) };
        let sql = "SELECT a.attname::text, a.attnotnull::text, \
                     CASE WHEN c.collname <> 'default' THEN format('%I.%I', n.nspname, c.collname) END, \
                     (NOT coalesce((to_jsonb(c) ->> 'collisdeterministic')::bool, true))::text \
                   FROM pg_catalog.pg_attribute a \
                   LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation \
                   LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace \
                   WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped";
        let rows = self.small(sql, &[&Dialect::POSTGRES.quoted_path(name)])?;
        let is = |text: Option<String>| text.as_deref() == Some("true");
        let columns = rows.into_iter().map(|row| {
            let mut row = row.into_iter();
            let mut next = || row.next().flatten();
            let (name, not_null) = (next().unwrap_or_default(), is(next()));
            CatalogColumn { name, nullable: !not_null, collation: next(), fuzzy: is(next()) }
        });
        Ok(columns.collect())
    }

    /// Whether a unique index lies within the key columns.
    pub(super) fn is_unique(&self) -> Result<bool> {
        let TableFrom::Table(name) = &self.settings.table.from else { return Ok(false) };
        let sql = "SELECT '1'::text FROM pg_catalog.pg_index i \
                   WHERE i.indrelid = $1::text::regclass AND i.indisunique AND i.indisvalid AND i.indimmediate \
                     AND i.indpred IS NULL AND i.indexprs IS NULL \
                     AND ARRAY(SELECT a.attname::text \
                               FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place) \
                               JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum \
                               WHERE k.place <= i.indnkeyatts) \
                         <@ ARRAY(SELECT json_array_elements_text($2::text::json)) LIMIT 1";
        let key = serde_json::Value::from(self.settings.table.key.clone()).to_string();
        Ok(!self.small(sql, &[&Dialect::POSTGRES.quoted_path(name), &key])?.is_empty())
    }

    /// The cluster, the database and the table, as far as this user may know them.
    pub(super) fn identity(&self) -> Result<String> {
        let allowed = "SELECT has_function_privilege('pg_catalog.pg_control_system()', 'execute')::text";
        let may_ask = self.small(allowed, &[])?.into_iter().flatten().flatten().any(|text| text == "true");
        let system = "(SELECT system_identifier::text FROM pg_catalog.pg_control_system())";
        let system = if may_ask { system } else { "'-'::text" };
        let table = match &self.settings.table.from {
            TableFrom::Table(name) => Dialect::POSTGRES.quoted_path(name),
            TableFrom::Query(_) => String::new(),
        };
        let sql = format!(
            "SELECT {system} || ':' || (SELECT oid::text FROM pg_catalog.pg_database WHERE datname = current_database()) \
             || ':' || CASE WHEN $1::text = '' THEN '' ELSE ($1::text::regclass::oid)::text END"
        );
        Ok(self.small(&sql, &[&table])?.into_iter().flatten().flatten().next().unwrap_or_default())
    }
}
