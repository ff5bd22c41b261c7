//! Nothing is lost to writers that do their worst, and nothing is told twice: the binary, killed and restarted at random, on
//! real databases at work. The writers are `support::writers`; what must hold in the end is `verdict`.

mod mariadb;
mod play;
mod postgres;
mod sqlite;
mod verdict;
