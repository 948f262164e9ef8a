//! How a long call is stopped and watched: a cancel flag, a progress counter, and a tick of the calling thread.

use crate::{Error, Result};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// What a [`Control`] calls, every 100 ms, on the thread that called the kernel: `(done, total)` units of work in,
/// whether to go on out.
pub type Tick<'a> = dyn FnMut(u64, u64) -> bool + 'a;

/// Shared between the thread that called a kernel and the threads that compute.
///
/// ```
/// use emcore::methods::moments::moments;
/// use emcore::{Control, Error, Rows};
///
/// let (data, control) = (vec![1u8; 1000], Control::new());
/// moments(Rows::from_slice(&data, 100, 10), &control)?;
/// assert_eq!(control.progress(), (100, 100));
///
/// control.cancel(); // from any thread, while a method runs or before
/// assert_eq!(moments(Rows::from_slice(&data, 100, 10), &control), Err(Error::Cancelled));
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Control {
    cancelled: AtomicBool,
    done: AtomicU64,
    total: AtomicU64,
}

impl Control {
    /// A control that is neither cancelled nor advanced.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the computation to stop at its next [`check`](Self::check).
    pub fn cancel(&self) {
        self.cancelled.store(true, Relaxed);
    }

    /// Fails with [`Error::Cancelled`] once [`cancel`](Self::cancel) was called. Kernels call it every block.
    pub fn check(&self) -> Result<()> {
        if self.cancelled.load(Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Announces `units` more of work; a kernel calls it before a pass or, if it knows, before all its passes.
    pub fn expect(&self, units: u64) {
        self.total.fetch_add(units, Relaxed);
    }

    /// Counts `units` of the announced work as done.
    pub fn advance(&self, units: u64) {
        self.done.fetch_add(units, Relaxed);
    }

    /// Returns the units of work `(done, announced)`.
    pub fn progress(&self) -> (u64, u64) {
        (self.done.load(Relaxed), self.total.load(Relaxed))
    }
}
