//! Reading rows through the helper, page by page, so that no driver has to keep more than one of them.
//! What a row looks like belongs to `layout`.

use super::layout::Unread;
use super::wire::{Answer, Request};
use super::{OdbcTable, Open};
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::source::table::json::VALUE_MAX;
use crate::source::table::statement::Statement;
use crate::source::table::{Position, Row, Span};

/// What is read of each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// All of it.
    Rows,
    /// Watermark and key.
    Positions,
}

impl OdbcTable {
    /// Hands the rows of `span` to `each`, in the order of watermark and key.
    pub(super) fn pages(
        &mut self,
        span: &Span,
        page: u64,
        what: What,
        stop: &Stop,
        each: &mut dyn FnMut(&Row) -> Result<()>,
    ) -> Result<()> {
        let mut span = span.clone();
        self.with(|table, open| {
            loop {
                let selected = match what {
                    What::Rows => &open.layout.selected,
                    What::Positions => &open.layout.selected_position,
                };
                let statement = open.layout.shape.page(selected, &span, Some(page));
                let mut last = None;
                let (count, cut) = table.page(open, statement, what, &mut last, stop, each)?;
                if count < page && !cut {
                    return Ok(());
                }
                open.whole |= cut;
                if last.is_some() {
                    span.after = last;
                }
            }
        })
    }

    /// Reads one page; returns how many rows there were, and whether it ended early at a value that needs more room.
    fn page(
        &self,
        open: &mut Open,
        statement: Statement,
        what: What,
        last: &mut Option<Position>,
        stop: &Stop,
        each: &mut dyn FnMut(&Row) -> Result<()>,
    ) -> Result<(u64, bool)> {
        let Statement { sql, parameters } = statement;
        let (whole, value_max) = (open.whole, u32::try_from(VALUE_MAX).unwrap_or(u32::MAX));
        self.done(open, Request::Stream { sql, parameters, whole, value_max }, stop)?;
        let mut buffers = Row::default();
        let mut count = 0;
        let mut cut = false;
        'page: loop {
            let rows = match open.process.ask(&Request::Next, self.limit(), stop)? {
                Answer::Rows(rows) if rows.is_empty() => break,
                Answer::Rows(rows) => rows,
                other => return Err(open.process.surprise(&other)),
            };
            for row in &rows {
                let read = match what {
                    What::Rows => open.layout.read(row, whole, &mut buffers),
                    What::Positions => open.layout.read_position(row, whole, &mut buffers),
                };
                match read {
                    Ok(()) => {}
                    Err(Unread::Cut) => {
                        cut = true;
                        break 'page;
                    }
                    Err(Unread::Odd(fact)) => {
                        let fact = format!("read {}: {fact}", open.location);
                        return Err(Error::new(ErrorKind::Invalid, fact));
                    }
                }
                each(&buffers)?;
                count += 1;
                last.get_or_insert_default().clone_from(&buffers.position);
            }
        }
        Ok((count, cut))
    }
}
