//! Fast CPU kernels that turn electron-microscopy data into a few maps and a few representative signals.
//!
//! Every method holds a small *state* fixed while the *rows* of a big matrix (one row per scan position, window or
//! curve) are visited once, in blocks; each block returns a small *partial*; partials are merged in a fixed order; the
//! state is updated. The answer is the same to the last bit on any number of threads. In reading order:
//!
//! 1. [`error`], [`control`]: what can go wrong, and how a long call is stopped and watched;
//! 2. [`pool`], [`simd`]: the threads and the instruction sets, each behind one door;
//! 3. [`rows`], [`prepare`], [`pass`]: the typed view of the data, rows computed from it, and the driver of every method;
//! 4. [`products`]: `X Q` and `Xᵀ Y` for thin `Q` and `Y`, from any pixel type ([`panel`], `aligned`: how those lie in memory, [`tiles`]:
//!    the inner loops); [`lanes`]: rows turned, for few features;
//! 5. the methods: [`spectra`] (with [`half`], [`fft`], `butterfly`, [`reduction`], [`logarithm`]), [`pca`] (with [`moments`] and
//!    [`eigen`]), [`quantiles`], [`nmf`], [`residuals`], [`kmeans`], [`cmeans`], [`slic`].
#![deny(unsafe_op_in_unsafe_fn)]
#![warn(missing_docs)]

mod aligned;
mod butterfly;
pub mod cmeans;
pub mod control;
pub mod eigen;
pub mod error;
pub mod fft;
pub mod half;
pub mod kmeans;
pub mod lanes;
pub mod logarithm;
pub mod moments;
pub mod nmf;
pub mod panel;
pub mod pass;
pub mod pca;
pub mod pool;
pub mod prepare;
pub mod products;
pub mod quantiles;
pub mod reduction;
pub mod residuals;
pub mod rows;
pub mod simd;
pub mod slic;
pub mod spectra;
pub mod tiles;

#[cfg(feature = "python")]
mod python;

pub use control::Control;
pub use error::{Error, Result};
pub use rows::Rows;
