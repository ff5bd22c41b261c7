//! The digest of a row, in MySQL's own SQL. What it is for belongs to `sweep`.

use mysql_async::Column as Described;
use mysql_async::consts::ColumnFlags;

use super::cell::Cell;

/// SQL for the bytes of the text that [`Cell::push_text`] makes of a column; `None` where SQL writes another one.
pub fn bytes(described: &Described, cell: Cell, sql: &str) -> Option<String> {
    // Zeros that only fill up are no part of the value, but of its text.
    let filled = described.flags().contains(ColumnFlags::ZEROFILL_FLAG);
    let chars = |value: String| format!("CAST(CAST({value} AS CHAR) AS BINARY)");
    Some(match cell {
        Cell::Whole | Cell::Bits => chars(format!("({sql} + 0)")),
        Cell::Decimal if !filled => chars(sql.to_owned()),
        Cell::Date => chars(sql.to_owned()),
        Cell::Moment | Cell::Instant => trimmed(&format!("DATE_FORMAT({sql}, '%Y-%m-%d %H:%i:%s.%f')")),
        Cell::Time => trimmed(&format!("CAST(CAST({sql} AS TIME(6)) AS CHAR)")),
        Cell::Bytes => format!("CAST(HEX({sql}) AS BINARY)"),
        Cell::Text | Cell::Json => format!("CAST(CONVERT({sql} USING utf8mb4) AS BINARY)"),
        Cell::Single | Cell::Double | Cell::Decimal | Cell::Geometry => return None,
    })
}

/// SQL for the first `digits` hexadecimal digits of the MD5 over `parts`, joined by line feeds, as a number.
pub fn number(parts: &[&str], digits: u32) -> String {
    let joined = parts.join(", ");
    format!("CAST(CONV(LEFT(MD5(CONCAT_WS(x'0A', {joined})), {digits}), 16, 10) AS UNSIGNED)")
}

/// Without the zeros at the end of a fraction, and its point if nothing is left.
fn trimmed(text: &str) -> String {
    format!("CAST(TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM {text})) AS BINARY)")
}
