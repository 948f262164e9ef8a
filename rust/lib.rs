//! Fast CPU kernels that turn electron-microscopy data into a few maps and a few representative signals.
//!
//! Every method holds a small *state* fixed while the *rows* of a big matrix (one row per scan position, window or
//! curve) are visited once, in blocks; each block returns a small *partial*; partials are merged in a fixed order; the
//! state is updated. The answer is the same to the last bit on any number of threads.
//!
//! [`Rows`] is a view of the data; [`methods`] has one file or folder for each method; a [`Control`] stops a long call and
//! says how far it is.
//!
//! ```
//! use emcore::methods::pca::{Options, Solver, pca};
//! use emcore::{Control, Rows};
//!
//! // 200 spectra of 50 channels as a detector counts them: two peaks, whose shares differ from spectrum to spectrum.
//! let peak = |j: usize, at: f64| (-(j as f64 - at).powi(2) / 20.0).exp();
//! let counts = |i: usize, j: usize| {
//!     let share = (i % 20) as f64 / 19.0;
//!     (1000.0 * (share * peak(j, 15.0) + (1.0 - share) * peak(j, 35.0))) as u16
//! };
//! let data: Vec<u16> = (0..200).flat_map(|i| (0..50).map(move |j| counts(i, j))).collect();
//!
//! let rows = Rows::from_slice(&data, 200, 50);
//! let options = Options { components: 1, center: true, weights: None, solver: Solver::Auto, seed: 0 };
//! let components = pca(rows, &options, &Control::new())?;
//! // The first component alone explains the data, up to the rounding of the counts.
//! let explained = components.singular_values[0].powi(2) / components.squares;
//! assert!(explained > 0.99);
//! # Ok::<(), emcore::Error>(())
//! ```
#![deny(unsafe_op_in_unsafe_fn)]
#![warn(missing_docs)]

pub(crate) mod engine;
pub mod methods;
#[cfg(feature = "python")]
mod python;

pub use engine::control::{Control, Tick};
pub use engine::error::{Error, Result};
pub use engine::pool::{num_threads, set_num_threads, set_num_threads_here, with_tick};
pub use engine::prepare;
pub use engine::range::{ValueRange, value_range};
pub use engine::rows::{Computed, Rows};
pub use engine::simd::{Pixel, Real};
pub use engine::sparse::Sparse;
