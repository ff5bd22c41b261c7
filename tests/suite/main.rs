//! Tests that drive the real thing: the binary, real servers, real files. One binary, so that it links once.

mod adversary;
mod badinput;
mod command;
mod configuration;
mod dayone;
mod delivering;
mod doctor;
mod folder;
mod ftp;
mod listening;
mod operating;
mod promise;
mod running;
mod sending;
mod sftp;
mod store;
mod support;
mod table;
mod tidy;
