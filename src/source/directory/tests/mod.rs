//! The rules of DESIGN section 6.1, shown on real folders.

mod breaking;
mod claiming;
mod filtering;
mod odd;
mod remote;
mod removing;
mod renaming;
mod telling;
mod waiting;
