//! Fast CPU kernels that turn electron-microscopy data into a few maps and a few representative signals.
//!
//! Every method holds a small *state* fixed while the *rows* of a big matrix (one row per scan position, window or
//! curve) are visited once, in blocks; each block returns a small *partial*; partials are merged in a fixed order; the
//! state is updated. The answer is the same to the last bit on any number of threads.
//!
//! [`engine`] is what every method stands on; [`methods`] has one file or folder for each.
#![deny(unsafe_op_in_unsafe_fn)]
#![warn(missing_docs)]

pub mod engine;
pub mod methods;
#[cfg(feature = "python")]
mod python;

pub use engine::control::Control;
pub use engine::error::{Error, Result};
pub use engine::rows::Rows;
