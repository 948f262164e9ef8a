//! What every method stands on. In reading order:
//!
//! 1. [`error`], [`control`], `room`: what can go wrong, how a long call is stopped and watched, and large arrays;
//! 2. [`pool`], [`simd`]: the threads and the instruction sets, each behind one door;
//! 3. [`rows`], `range`, `sparse`, [`prepare`], [`pass`]: the typed view of the data, its range, rows without their zeros, rows computed, and one
//!    visit of all of them;
//! 4. [`tiles`] and `sparse_tiles` (with [`panel`] and `aligned`, how thin matrices lie in memory): the inner loops of thin products; [`lanes`]:
//!    rows transposed, for few features; `filled`: rows by what they hold, for few values;
//! 5. `eigen`: the leading eigenpairs of large symmetric operators, and all of small ones.

pub(crate) mod aligned;
pub(crate) mod control;
pub(crate) mod eigen;
pub(crate) mod error;
pub(crate) mod filled;
pub(crate) mod lanes;
pub(crate) mod logarithm;
pub(crate) mod panel;
pub(crate) mod pass;
pub(crate) mod pool;
pub mod prepare;
pub(crate) mod range;
pub(crate) mod room;
pub(crate) mod rows;
pub(crate) mod simd;
pub(crate) mod sparse;
pub(crate) mod sparse_tiles;
pub(crate) mod tiles;
