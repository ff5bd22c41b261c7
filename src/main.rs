//! The program: hands over to the commands and exits with their code.

fn main() -> std::process::ExitCode {
    highwater::cli::main()
}
