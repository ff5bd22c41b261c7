//! The first day with Highwater, as the guides tell it: the quick starts, a configuration of one's own, cron, and a look
//! with every command.

mod cron;
mod first_own;
mod looking;
mod quickstart;
mod quickstart_http;
mod sample;
mod terminal;
