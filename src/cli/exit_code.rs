//! Which code the process ends with (DESIGN section 9). Pure; whoever runs a command says how it ended.

use std::process::ExitCode;

use crate::error::ErrorKind;

/// How a command ended, as far as its exit code tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All polled, all delivered.
    Clean,
    /// The command line or the configuration is wrong.
    Usage,
    /// Another process holds the store.
    Locked,
    /// Anything unexpected.
    Unexpected,
    /// A source could not be polled or is held.
    SourceTrouble,
    /// Deliveries wait for a retry or became dead.
    DeliveryTrouble,
}

/// When several apply, the first of these decides.
const PRIORITY: [Ending; 5] =
    [Ending::Usage, Ending::Locked, Ending::Unexpected, Ending::SourceTrouble, Ending::DeliveryTrouble];

impl Ending {
    /// The one of `endings` that decides; `Clean` when there is none.
    pub fn first(endings: &[Self]) -> Self {
        PRIORITY.into_iter().find(|one| endings.contains(one)).unwrap_or(Self::Clean)
    }

    /// How a command that failed with this kind of error ended.
    pub fn of_kind(kind: ErrorKind) -> Self {
        match kind.exit_code() {
            2 => Self::Usage,
            5 => Self::Locked,
            _ => Self::Unexpected,
        }
    }

    /// The process's exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Usage => 2,
            Self::Locked => 5,
            Self::Unexpected => 1,
            Self::SourceTrouble => 3,
            Self::DeliveryTrouble => 4,
        }
    }
}

/// An exit code. Most come from an [`Ending`]; `status --check` has the codes of Nagios instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    /// Code 0.
    pub const CLEAN: Self = Self(Ending::Clean.code());
}

impl From<Ending> for Exit {
    fn from(ending: Ending) -> Self {
        Self(ending.code())
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_the_first_in_the_order_2_5_1_3_4_decides() {
        use Ending::*;
        let table: [(&[Ending], u8); 10] = [
            (&[], 0),
            (&[Clean, Clean], 0),
            (&[DeliveryTrouble], 4),
            (&[DeliveryTrouble, SourceTrouble], 3),
            (&[SourceTrouble, Clean], 3),
            (&[DeliveryTrouble, SourceTrouble, Unexpected], 1),
            (&[Unexpected, Locked], 5),
            (&[Locked, Usage, Unexpected], 2),
            (&[Usage], 2),
            (&[DeliveryTrouble, SourceTrouble, Unexpected, Locked, Usage], 2),
        ];
        for (endings, code) in table {
            assert_eq!(Ending::first(endings).code(), code, "{endings:?}");
        }
    }

    #[test]
    fn an_error_ends_with_the_code_of_its_kind() {
        assert_eq!(Ending::of_kind(ErrorKind::Config), Ending::Usage);
        assert_eq!(Ending::of_kind(ErrorKind::Usage), Ending::Usage);
        assert_eq!(Ending::of_kind(ErrorKind::Locked), Ending::Locked);
        assert_eq!(Ending::of_kind(ErrorKind::Full), Ending::Unexpected);
    }
}
