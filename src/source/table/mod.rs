//! Table sources: keyset paging over a watermark, and how far behind the cursor stays.
