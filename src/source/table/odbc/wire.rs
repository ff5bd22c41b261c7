//! What the main program and the ODBC helper say to each other: frames of a length, a kind and fields, over two pipes.
//! Who says what when belongs to `process` on this side and to the program `highwater-odbc` on the other.

use std::io::{self, Read, Write};

/// The version of this protocol; the helper says its own first.
pub const VERSION: u32 = 1;
/// No frame is longer: more is a sign that something else than the helper speaks.
pub const FRAME_MAX: usize = 256 << 20;

/// What the main program asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Open the connection; the text holds the password.
    Connect { connection: String, timeout_s: u32 },
    /// Run a statement, result or not.
    Run { sql: String },
    /// End the transaction without changing anything.
    Rollback,
    /// Run a query and say what columns it has.
    Describe { sql: String },
    /// The primary key's columns.
    PrimaryKey { schema: Option<String>, table: String },
    /// Run a small query and answer with texts.
    Ask { sql: String, parameters: Vec<String> },
    /// Run a query whose rows are fetched by [`Request::Next`]. `whole` fetches row by row, values of any length up to
    /// `value_max` bytes.
    Stream { sql: String, parameters: Vec<String>, whole: bool, value_max: u32 },
    /// The next rows of the stream.
    Next,
}

/// What the helper answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The helper is there.
    Hello { version: u32 },
    /// The connection is open.
    Connected { database: String, catalog: String, quote: String },
    /// It is done.
    Done,
    /// The columns of a query.
    Columns(Vec<Described>),
    /// A small result.
    Texts(Vec<Vec<Option<String>>>),
    /// Rows of a stream, each a row of cells; none are left when it is empty.
    Rows(Vec<Vec<Cell>>),
    /// It failed, with what the driver says.
    Failed { state: String, native: i32, message: String },
}

/// One column, as the driver describes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// What its values are.
    pub class: Class,
    /// Precision of a decimal, length of a text or binary, in the driver's units; 0 where it does not say.
    pub size: u32,
    /// Digits behind the point.
    pub scale: i32,
    /// Whether it may be NULL.
    pub nullable: bool,
}

/// What a column's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Class {
    /// Texts, and whatever the driver gives as such.
    #[default]
    Text,
    /// Whole numbers of up to 64 bits.
    Integer,
    /// Exact numbers.
    Decimal,
    /// 32-bit floating-point numbers.
    Single,
    /// 64-bit floating-point numbers.
    Double,
    /// True or false.
    Bit,
    /// Days.
    Date,
    /// Times of day.
    Time,
    /// Points in time, with or without an offset.
    Timestamp,
    /// Bytes.
    Binary,
    /// Unique identifiers.
    Guid,
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// NULL.
    Null,
    /// A text, or a number as a text.
    Text(String),
    /// A 64-bit floating-point number.
    Double(f64),
    /// A 32-bit floating-point number.
    Single(f32),
    /// Bytes.
    Bytes(Vec<u8>),
    /// More than the buffer takes: of so many bytes, as far as known (0 where not).
    Cut(u64),
    /// A text that is not valid UTF-16.
    Broken,
}

const CLASSES: [Class; 11] = [
    Class::Text,
    Class::Integer,
    Class::Decimal,
    Class::Single,
    Class::Double,
    Class::Bit,
    Class::Date,
    Class::Time,
    Class::Timestamp,
    Class::Binary,
    Class::Guid,
];

/// A message that travels as one frame.
pub trait Message: Sized {
    /// Appends kind and fields.
    fn put(&self, out: &mut Fields);
    /// Reads them back.
    fn get(fields: &mut Reader<'_>) -> Option<Self>;
}

/// Writes `message` as one frame.
pub fn write(to: &mut impl Write, message: &impl Message) -> io::Result<()> {
    to.write_all(&frame(message))?;
    to.flush()
}

/// `message` as one frame.
pub fn frame(message: &impl Message) -> Vec<u8> {
    let mut fields = Fields(vec![0; 4]);
    message.put(&mut fields);
    let length = u32::try_from(fields.0.len() - 4).unwrap_or(u32::MAX);
    fields.0[..4].copy_from_slice(&length.to_be_bytes());
    fields.0
}

/// Reads one frame; `None` at the end of the pipe.
pub fn read<M: Message>(from: &mut impl Read) -> io::Result<Option<M>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = u32::from_be_bytes(length) as usize;
    let odd = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    if length > FRAME_MAX {
        return Err(odd("a frame is longer than any can be"));
    }
    let mut bytes = Vec::new();
    from.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut reader = Reader(&bytes);
    let message = M::get(&mut reader).filter(|_| reader.0.is_empty());
    message.map(Some).ok_or_else(|| odd("a frame is not what was agreed"))
}

/// The fields of a frame that is being written.
#[derive(Debug, Default)]
pub struct Fields(Vec<u8>);

impl Fields {
    fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    fn number(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    fn bytes(&mut self, value: &[u8]) {
        self.number(u32::try_from(value.len()).unwrap_or(u32::MAX));
        self.0.extend_from_slice(value);
    }

    fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    fn maybe(&mut self, value: Option<&String>) {
        self.byte(value.is_some().into());
        if let Some(value) = value {
            self.text(value);
        }
    }

    fn list<T>(&mut self, values: &[T], mut each: impl FnMut(&mut Self, &T)) {
        self.number(u32::try_from(values.len()).unwrap_or(u32::MAX));
        for value in values {
            each(self, value);
        }
    }
}

/// The fields of a frame that is being read.
pub struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let length = self.number()? as usize;
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head.to_vec())
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?).ok()
    }

    fn maybe(&mut self) -> Option<Option<String>> {
        match self.byte()? {
            0 => Some(None),
            _ => self.text().map(Some),
        }
    }

    fn list<T>(&mut self, mut each: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.number()?;
        // Nothing is reserved for a count that the frame may not hold.
        (0..count).map(|_| each(self)).collect()
    }
}

impl Message for Request {
    fn put(&self, out: &mut Fields) {
        match self {
            Self::Connect { connection, timeout_s } => {
                out.byte(1);
                out.text(connection);
                out.number(*timeout_s);
            }
            Self::Run { sql } => {
                out.byte(2);
                out.text(sql);
            }
            Self::Rollback => out.byte(3),
            Self::Describe { sql } => {
                out.byte(4);
                out.text(sql);
            }
            Self::PrimaryKey { schema, table } => {
                out.byte(5);
                out.maybe(schema.as_ref());
                out.text(table);
            }
            Self::Ask { sql, parameters } => {
                out.byte(6);
                out.text(sql);
                out.list(parameters, |out, text| out.text(text));
            }
            Self::Stream { sql, parameters, whole, value_max } => {
                out.byte(7);
                out.text(sql);
                out.list(parameters, |out, text| out.text(text));
                out.byte((*whole).into());
                out.number(*value_max);
            }
            Self::Next => out.byte(8),
        }
    }

    fn get(fields: &mut Reader<'_>) -> Option<Self> {
        Some(match fields.byte()? {
            1 => Self::Connect { connection: fields.text()?, timeout_s: fields.number()? },
            2 => Self::Run { sql: fields.text()? },
            3 => Self::Rollback,
            4 => Self::Describe { sql: fields.text()? },
            5 => Self::PrimaryKey { schema: fields.maybe()?, table: fields.text()? },
            6 => Self::Ask { sql: fields.text()?, parameters: fields.list(Reader::text)? },
            7 => Self::Stream {
                sql: fields.text()?,
                parameters: fields.list(Reader::text)?,
                whole: fields.byte()? == 1,
                value_max: fields.number()?,
            },
            8 => Self::Next,
            _ => return None,
        })
    }
}

impl Message for Answer {
    fn put(&self, out: &mut Fields) {
        match self {
            Self::Hello { version } => {
                out.byte(1);
                out.number(*version);
            }
            Self::Connected { database, catalog, quote } => {
                out.byte(2);
                [database, catalog, quote].into_iter().for_each(|text| out.text(text));
            }
            Self::Done => out.byte(3),
            Self::Columns(columns) => {
                out.byte(4);
                out.list(columns, put_column);
            }
            Self::Texts(rows) => {
                out.byte(5);
                out.list(rows, |out, row| out.list(row, |out, text| out.maybe(text.as_ref())));
            }
            Self::Rows(rows) => {
                out.byte(6);
                out.list(rows, |out, row| out.list(row, put_cell));
            }
            Self::Failed { state, native, message } => {
                out.byte(7);
                out.text(state);
                out.number(native.cast_unsigned());
                out.text(message);
            }
        }
    }

    fn get(fields: &mut Reader<'_>) -> Option<Self> {
        Some(match fields.byte()? {
            1 => Self::Hello { version: fields.number()? },
            2 => Self::Connected { database: fields.text()?, catalog: fields.text()?, quote: fields.text()? },
            3 => Self::Done,
            4 => Self::Columns(fields.list(get_column)?),
            5 => Self::Texts(fields.list(|row| row.list(Reader::maybe))?),
            6 => Self::Rows(fields.list(|row| row.list(get_cell))?),
            7 => {
                Self::Failed { state: fields.text()?, native: fields.number()?.cast_signed(), message: fields.text()? }
            }
            _ => return None,
        })
    }
}

fn put_column(out: &mut Fields, column: &Described) {
    out.text(&column.name);
    let class = CLASSES.iter().position(|class| *class == column.class).unwrap_or_default();
    out.byte(u8::try_from(class).unwrap_or_default());
    out.number(column.size);
    out.number(column.scale.cast_unsigned());
    out.byte(column.nullable.into());
}

fn get_column(fields: &mut Reader<'_>) -> Option<Described> {
    Some(Described {
        name: fields.text()?,
        class: *CLASSES.get(usize::from(fields.byte()?))?,
        size: fields.number()?,
        scale: fields.number()?.cast_signed(),
        nullable: fields.byte()? == 1,
    })
}

fn put_cell(out: &mut Fields, cell: &Cell) {
    match cell {
        Cell::Null => out.byte(0),
        Cell::Text(text) => {
            out.byte(1);
            out.text(text);
        }
        Cell::Double(number) => {
            out.byte(2);
            out.0.extend_from_slice(&number.to_be_bytes());
        }
        Cell::Single(number) => {
            out.byte(3);
            out.0.extend_from_slice(&number.to_be_bytes());
        }
        Cell::Bytes(bytes) => {
            out.byte(4);
            out.bytes(bytes);
        }
        Cell::Cut(size) => {
            out.byte(5);
            out.0.extend_from_slice(&size.to_be_bytes());
        }
        Cell::Broken => out.byte(6),
    }
}

fn get_cell(fields: &mut Reader<'_>) -> Option<Cell> {
    Some(match fields.byte()? {
        0 => Cell::Null,
        1 => Cell::Text(fields.text()?),
        2 => Cell::Double(f64::from_be_bytes(fields.take()?)),
        3 => Cell::Single(f32::from_be_bytes(fields.take()?)),
        4 => Cell::Bytes(fields.bytes()?),
        5 => Cell::Cut(u64::from_be_bytes(fields.take()?)),
        6 => Cell::Broken,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back<M: Message>(message: &M) -> M {
        read(&mut frame(message).as_slice()).expect("a frame").expect("one")
    }

    #[test]
    fn every_message_reads_back() {
        let (sql, parameters) = ("SELECT ?".to_owned(), vec!["ü".to_owned(), String::new()]);
        for request in [
            Request::Connect { connection: "Driver=x;PWD={a}}b}".into(), timeout_s: 30 },
            Request::Run { sql: sql.clone() },
            Request::Rollback,
            Request::Describe { sql: sql.clone() },
            Request::PrimaryKey { schema: None, table: "t".into() },
            Request::Ask { sql: sql.clone(), parameters: parameters.clone() },
            Request::Stream { sql, parameters, whole: true, value_max: 16 },
            Request::Next,
        ] {
            assert_eq!(back(&request), request);
        }
        let column = Described { name: "n".into(), class: Class::Guid, size: 7, scale: -2, nullable: true };
        let cells = vec![
            Cell::Null,
            Cell::Text("é".into()),
            Cell::Double(0.1),
            Cell::Single(0.1),
            Cell::Bytes(vec![0, 255]),
            Cell::Cut(9),
            Cell::Broken,
        ];
        for answer in [
            Answer::Hello { version: VERSION },
            Answer::Connected { database: "PostgreSQL".into(), catalog: "erp".into(), quote: "\"".into() },
            Answer::Done,
            Answer::Columns(vec![column]),
            Answer::Texts(vec![vec![None, Some("x".into())], vec![]]),
            Answer::Rows(vec![cells]),
            Answer::Failed { state: "08001".into(), native: -1, message: "no".into() },
        ] {
            assert_eq!(back(&answer), answer);
        }
    }

    #[test]
    fn what_is_no_frame_is_an_error_and_never_a_huge_allocation() {
        for bytes in [&b"\xff\xff\xff\xff"[..], b"\0\0\0\x05\x06\xff\xff\xff\xff", b"\0\0\0\x01\x09", b"\0\0\0\x09\x01"]
        {
            assert!(read::<Answer>(&mut &bytes[..]).is_err(), "{bytes:?}");
        }
        assert!(read::<Answer>(&mut &b""[..]).expect("an end").is_none());
    }
}
