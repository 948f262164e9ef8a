//! What can go wrong, in one enum; every message says what was found and what to change.

use std::fmt;

/// The error of every kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// An argument has a value or a shape that the kernel cannot work with.
    Invalid {
        /// Name of the argument as the caller knows it.
        argument: &'static str,
        /// What was found and what to do about it.
        message: String,
    },
    /// The system does not give as much memory as a kernel needs.
    NoRoom {
        /// What is so large.
        what: &'static str,
        /// How large.
        bytes: u128,
    },
    /// The caller asked to stop.
    Cancelled,
}

/// The result of every kernel.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An [`Error::Invalid`]: `argument`, and what was found and what to do about it.
    pub fn invalid(argument: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { argument, message: message.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { argument, message } => write!(f, "{argument}: {message}"),
            Self::NoRoom { what, bytes } => {
                let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
                let (unit, name) = units.into_iter().find(|(unit, _)| bytes >= unit).unwrap_or((1, "bytes"));
                let number = bytes.div_ceil(unit);
                write!(f, "{what} take {number} {name}, more than the system gives; give fewer rows or ask for less")
            }
            Self::Cancelled => write!(f, "the computation was cancelled"),
        }
    }
}

impl std::error::Error for Error {}
