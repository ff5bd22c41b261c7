//! FTP and FTPS against real servers, and against one of our own that does what real ones won't.

mod bare_names;
mod calendar;
mod conformance;
mod crashing;
mod delivered;
mod doctor;
mod endless;
mod faults;
mod replies;
mod taking_away;
mod trust;
