//! Fetching rows: many at once into buffers bound by column, or one by one where a value is longer than those.
//! Which of the two is asked for belongs to the main program.

use highwater::source::table::odbc::wire::{Cell, Class, Described};
use odbc_api::buffers::{AnyColumnBufferSlice, BufferDesc, ColumnarDynBuffer, Indicator};
use odbc_api::parameter::{VarBinaryArray, VarWCharArray};
use odbc_api::sys::SqlDataType;
use odbc_api::{
    BlockCursor, ColumnDescription, Connection, Cursor, CursorImpl, CursorRow, DataType, Error, Nullable,
    ResultSetMetadata,
};

use super::session::bound;

/// A frame of rows is about this long, and no longer than one more row.
const FRAME: usize = 1 << 20;
/// Buffers for many rows take no more than this together.
const BUFFERS: usize = 8 << 20;
/// Rows that are fetched at once.
const ROWS_MAX: usize = 1_000;
/// Units that a column has in those buffers at most; longer values are cut and fetched one by one.
const UNITS_MAX: usize = 2_000;
/// Room for a column's name.
const NAME: usize = 1_024;
/// A part of a long value, in units.
const PART: usize = 8_192;

type Statement<'c> = CursorImpl<odbc_api::handles::StatementImpl<'c>>;

/// The rows of a query, as they come.
pub struct Rows<'c> {
    columns: Vec<Described>,
    fetching: Fetching<'c>,
}

enum Fetching<'c> {
    Bulk { cursor: Box<BlockCursor<Statement<'c>, ColumnarDynBuffer>>, left: std::vec::IntoIter<Vec<Cell>> },
    Whole { cursor: Statement<'c>, value_max: usize },
    Ended,
}

impl<'c> Rows<'c> {
    /// Runs the query.
    pub fn open(
        connection: &'c Connection<'_>,
        sql: &str,
        parameters: &[String],
        whole: bool,
        value_max: usize,
    ) -> Result<Self, Error> {
        let bound = bound(parameters);
        let Some(mut cursor) = connection.execute(sql, bound.as_slice(), None)? else {
            return Ok(Self { columns: Vec::new(), fetching: Fetching::Ended });
        };
        let columns = described(&mut cursor)?;
        if whole {
            return Ok(Self { columns, fetching: Fetching::Whole { cursor, value_max } });
        }
        let buffers: Vec<BufferDesc> = columns.iter().map(buffer).collect();
        let width: usize = buffers.iter().map(BufferDesc::bytes_per_row).sum();
        let rows = (BUFFERS / width.max(1)).clamp(1, ROWS_MAX);
        let cursor = Box::new(cursor.bind_buffer(ColumnarDynBuffer::try_from_descs(rows, buffers)?)?);
        Ok(Self { columns, fetching: Fetching::Bulk { cursor, left: Vec::new().into_iter() } })
    }

    /// As many rows as make up a frame; none at the end.
    pub fn next(&mut self) -> Result<Vec<Vec<Cell>>, Error> {
        let mut rows = Vec::new();
        let mut size = 0;
        while size < FRAME {
            let Some(row) = self.row()? else {
                self.fetching = Fetching::Ended;
                break;
            };
            size += row.iter().map(weight).sum::<usize>();
            rows.push(row);
        }
        Ok(rows)
    }

    fn row(&mut self) -> Result<Option<Vec<Cell>>, Error> {
        match &mut self.fetching {
            Fetching::Ended => Ok(None),
            Fetching::Whole { cursor, value_max } => match cursor.next_row()? {
                Some(mut row) => whole_row(&mut row, &self.columns, *value_max).map(Some),
                None => Ok(None),
            },
            Fetching::Bulk { cursor, left } => {
                if let Some(row) = left.next() {
                    return Ok(Some(row));
                }
                let Some(batch) = cursor.fetch_with_truncation_check(false)? else { return Ok(None) };
                let mut rows = vec![Vec::with_capacity(self.columns.len()); batch.num_rows()];
                for (at, column) in self.columns.iter().enumerate() {
                    push_column(&mut rows, batch.column(at), column.class);
                }
                *left = rows.into_iter();
                Ok(left.next())
            }
        }
    }
}

/// What the driver says of the columns.
pub fn described(cursor: &mut impl ResultSetMetadata) -> Result<Vec<Described>, Error> {
    let count = u16::try_from(cursor.num_result_cols()?).unwrap_or_default();
    let mut description = ColumnDescription::default();
    let mut columns = Vec::with_capacity(count.into());
    for at in 1..=count {
        // Some drivers cut the last letter off a name that had no room at first.
        description.name.reserve(NAME);
        cursor.describe_col(at, &mut description)?;
        let (class, size, scale) = class(description.data_type);
        columns.push(Described {
            name: String::from_utf16_lossy(&description.name),
            class,
            size: u32::try_from(size).unwrap_or(u32::MAX),
            scale,
            nullable: description.could_be_nullable(),
        });
    }
    Ok(columns)
}

/// One row, each value whole, up to `value_max` bytes.
pub fn whole_row(row: &mut CursorRow<'_>, columns: &[Described], value_max: usize) -> Result<Vec<Cell>, Error> {
    let mut cells = Vec::with_capacity(columns.len());
    for (at, column) in (1..).zip(columns) {
        cells.push(match column.class {
            Class::Double => {
                let mut field = Nullable::<f64>::null();
                row.get_data(at, &mut field)?;
                field.into_opt().map_or(Cell::Null, Cell::Double)
            }
            Class::Single => {
                let mut field = Nullable::<f32>::null();
                row.get_data(at, &mut field)?;
                field.into_opt().map_or(Cell::Null, Cell::Single)
            }
            Class::Binary => whole_bytes(row, at, value_max)?,
            _ => whole_text(row, at, value_max)?,
        });
    }
    Ok(cells)
}

fn whole_text(row: &mut CursorRow<'_>, at: u16, value_max: usize) -> Result<Cell, Error> {
    let mut units = Vec::new();
    let mut part = VarWCharArray::<PART>::NULL;
    loop {
        row.get_data(at, &mut part)?;
        let Some(taken) = part.as_slice() else {
            return Ok(if units.is_empty() { Cell::Null } else { text(&units) });
        };
        if part.is_complete() {
            units.extend_from_slice(taken);
            return Ok(if units.len() * 2 > value_max { Cell::Cut(units.len() as u64 * 2) } else { text(&units) });
        }
        let total = units.len() * 2 + length(part.indicator());
        if total > value_max || (units.len() + taken.len()) * 2 > value_max {
            return Ok(Cell::Cut(total as u64));
        }
        units.extend_from_slice(taken);
    }
}

fn whole_bytes(row: &mut CursorRow<'_>, at: u16, value_max: usize) -> Result<Cell, Error> {
    let mut bytes = Vec::new();
    let mut part = VarBinaryArray::<PART>::NULL;
    loop {
        row.get_data(at, &mut part)?;
        let Some(taken) = part.as_slice() else {
            return Ok(if bytes.is_empty() { Cell::Null } else { Cell::Bytes(bytes) });
        };
        let total = bytes.len() + length(part.indicator()).max(taken.len());
        if total > value_max {
            return Ok(Cell::Cut(total as u64));
        }
        bytes.extend_from_slice(taken);
        if part.is_complete() {
            return Ok(Cell::Bytes(bytes));
        }
    }
}

fn length(indicator: Indicator) -> usize {
    indicator.length().unwrap_or(0)
}

/// Appends one column of a batch to its rows.
fn push_column(rows: &mut [Vec<Cell>], column: AnyColumnBufferSlice<'_>, class: Class) {
    let count = rows.len();
    let each = rows.iter_mut().enumerate();
    match class {
        Class::Double => {
            let values = column.as_nullable_slice::<f64>();
            each.for_each(|(at, row)| {
                row.push(values.as_ref().and_then(|v| v.get(at)).map_or(Cell::Null, |v| Cell::Double(*v)));
            });
        }
        Class::Single => {
            let values = column.as_nullable_slice::<f32>();
            each.for_each(|(at, row)| {
                row.push(values.as_ref().and_then(|v| v.get(at)).map_or(Cell::Null, |v| Cell::Single(*v)));
            });
        }
        Class::Binary => {
            let Some(values) = column.as_binary() else { return };
            let longest = (0..count).filter_map(|at| values.get(at)).map(<[u8]>::len).max().unwrap_or(0);
            let cut = values.has_truncated_values().map(|_| longest);
            each.for_each(|(at, row)| {
                row.push(match values.get(at) {
                    None => Cell::Null,
                    Some(bytes) if cut == Some(bytes.len()) => Cell::Cut(0),
                    Some(bytes) => Cell::Bytes(bytes.to_vec()),
                });
            });
        }
        _ => {
            let Some(values) = column.as_wide_text() else { return };
            let cut = values.has_truncated_values().map(|_| values.max_len());
            each.for_each(|(at, row)| {
                row.push(match values.get(at) {
                    None => Cell::Null,
                    Some(units) if cut == Some(units.len()) => Cell::Cut(0),
                    Some(units) => text(units),
                });
            });
        }
    }
}

fn text(units: &[u16]) -> Cell {
    String::from_utf16(units).map_or(Cell::Broken, Cell::Text)
}

fn weight(cell: &Cell) -> usize {
    match cell {
        Cell::Text(text) => text.len() + 5,
        Cell::Bytes(bytes) => bytes.len() + 5,
        _ => 9,
    }
}

fn buffer(column: &Described) -> BufferDesc {
    let size = column.size as usize;
    let bounded = |size: usize| if size == 0 { UNITS_MAX } else { size.min(UNITS_MAX) };
    match column.class {
        Class::Double => BufferDesc::F64 { nullable: true },
        Class::Single => BufferDesc::F32 { nullable: true },
        Class::Binary => BufferDesc::Binary { max_bytes: bounded(size) },
        // A letter beyond the basic plane has two units.
        Class::Text => BufferDesc::WText { max_str_len: bounded(size.saturating_mul(2)) },
        // Some drivers call decimals without limits 28 digits long.
        Class::Decimal => BufferDesc::WText { max_str_len: bounded(size + 4).max(130) },
        _ => BufferDesc::WText { max_str_len: 64 },
    }
}

fn class(kind: DataType) -> (Class, usize, i32) {
    let length = |length: Option<std::num::NonZeroUsize>| length.map_or(0, usize::from);
    match kind {
        DataType::TinyInt | DataType::SmallInt | DataType::Integer | DataType::BigInt => (Class::Integer, 20, 0),
        DataType::Numeric { precision, scale } | DataType::Decimal { precision, scale } => {
            (Class::Decimal, precision, scale.into())
        }
        DataType::Real => (Class::Single, 0, 0),
        DataType::Float { precision } if precision > 0 && precision <= 24 => (Class::Single, 0, 0),
        DataType::Float { .. } | DataType::Double => (Class::Double, 0, 0),
        DataType::Bit => (Class::Bit, 1, 0),
        DataType::Date => (Class::Date, 10, 0),
        DataType::Time { precision } => (Class::Time, 8, precision.into()),
        DataType::Timestamp { precision } => (Class::Timestamp, 19, precision.into()),
        DataType::Binary { length: l } | DataType::Varbinary { length: l } | DataType::LongVarbinary { length: l } => {
            (Class::Binary, length(l), 0)
        }
        DataType::Char { length: l }
        | DataType::Varchar { length: l }
        | DataType::LongVarchar { length: l }
        | DataType::WChar { length: l }
        | DataType::WVarchar { length: l }
        | DataType::WLongVarchar { length: l } => (Class::Text, length(l), 0),
        DataType::Other { data_type, column_size, .. } => (other(data_type), length(column_size), 0),
        DataType::Unknown => (Class::Text, 0, 0),
    }
}

/// Types beyond the standard's.
fn other(kind: SqlDataType) -> Class {
    match kind.0 {
        -11 => Class::Guid,
        // SQL Server's datetimeoffset and time.
        -155 => Class::Timestamp,
        -154 => Class::Time,
        _ => Class::Text,
    }
}
