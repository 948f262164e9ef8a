//! Local symmetry: onto which of its own copies, shifted, turned or reflected, does the image fall around each point?
//!
//! A score is the Pearson correlation of the patch around a point with a copy of the image: shifted by (m, n)
//! ([`translations`]), turned about the point by multiples of 2π / n, or reflected in a line through it ([`turns`]; Wang
//! et al. 2021, Microsc. Microanal. 27, 1454). Turns and reflections act on the image, never on a map of
//! correlations, which has a two-fold axis whatever the crystal. Where the patch or its copy is constant the score is 0.
//!
//! Points are `stride` pixels apart in both directions; the first is as far from the border as patch and shifts reach.
//! The pass is over rows of points, in blocks; what a block reads of the image is converted once, in `f64`, less a value
//! near the image's mean.

mod image;
mod polar;
mod translation;

pub use crate::methods::symmetry::polar::{Turns, turns};
pub use crate::methods::symmetry::translation::{Translations, translations};

#[cfg(test)]
mod tests;
