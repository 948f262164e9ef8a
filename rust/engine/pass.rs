//! The driver of every method: `block` on all threads, `merge` in a fixed order, `update` by the caller.
//!
//! Blocks are cut by size only, never by the number of threads, and their partials are merged in the order of the rows.
//! So the sum that a method forms is the same to the last bit on 1, 2 or 64 threads. At most a few partials per
//! thread are alive at a time.

use crate::engine::{pool, room};
use crate::{Control, Result};
use std::collections::BTreeSet;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, PoisonError};

/// Visit rows `0..n` once, in blocks of `block_rows`.
///
/// `block(rows, out)` runs on the pool; `out` is the block's own part of `output`, which holds `output.len() / n`
/// values per row (possibly none). `merge(partial)` is called for one block at a time, in the order of the rows. Progress
/// advances by the number of rows; the caller announces it with [`Control::expect`].
pub fn pass<O: Send, P: Send>(
    n: usize,
    block_rows: usize,
    control: &Control,
    output: &mut [O],
    block: impl Fn(Range<usize>, &mut [O]) -> P + Sync,
    mut merge: impl FnMut(P) + Send,
) -> Result<()> {
    let blocks = n.div_ceil(block_rows);
    let width = output.len().checked_div(n).unwrap_or(0);
    debug_assert_eq!(output.len(), width * n);
    let mut parts = output.chunks_mut((block_rows * width).max(1));
    let mut places = Vec::new();
    room::reserve(&mut places, blocks, "blocks")?;
    places.extend((0..blocks).map(|_| Mutex::new((parts.next().unwrap_or_default(), None))));
    let visit = |index: usize, rows: Range<usize>| {
        let out = std::mem::take(&mut lock(&places[index]).0);
        let partial = block(rows, out);
        lock(&places[index]).1 = Some(partial);
    };
    let mut merge = |index: usize| merge(lock(&places[index]).1.take().expect("a block that was visited"));
    in_order(n, block_rows, control, &visit, &mut merge)
}

/// Call `visit(block, rows)` on the pool and `merge(block)` for one block at a time, in order. Once for all kinds of data and
/// partials: the compiler makes [`pass`] for each.
fn in_order(
    n: usize,
    block_rows: usize,
    control: &Control,
    visit: &(dyn Fn(usize, Range<usize>) + Sync),
    merge: &mut (dyn FnMut(usize) + Send),
) -> Result<()> {
    let blocks = n.div_ceil(block_rows);
    let ahead = 4 * pool::num_threads().max(1); // partials that may wait for an earlier one
    let next = AtomicUsize::new(0);
    let merger = Mutex::new(Merger { merged: 0, waiting: BTreeSet::new(), merge, broken: false });
    let moved = Condvar::new();
    let no_room = Mutex::new(None);
    pool::on_every_thread(control, &|| {
        // A panic in `visit` must not leave the others waiting for its partial.
        let mut guard = BreakOnPanic { merger: &merger, moved: &moved, armed: true };
        loop {
            let index = next.fetch_add(1, Relaxed);
            if index >= blocks || control.check().is_err() {
                break;
            }
            let rows = index * block_rows..((index + 1) * block_rows).min(n);
            let count = rows.len() as u64;
            // What a block leaves half done is not looked at: the pass ends.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| visit(index, rows))) {
                let Some(error) = room::error_of(&*panic) else { resume_unwind(panic) };
                lock(&no_room).get_or_insert(error.clone());
                next.store(blocks, Relaxed);
                break; // and others need not wait for its partial
            }
            control.advance(count);
            pool::tick_if_due(control); // where this is the calling thread, for want of others

            let mut merger = lock(&merger);
            while index >= merger.merged + ahead && !merger.broken && control.check().is_ok() {
                merger = moved.wait(merger).unwrap_or_else(PoisonError::into_inner);
            }
            merger.put(index);
            moved.notify_all();
        }
        guard.armed = lock(&no_room).is_some();
        // Under the lock: a thread that has just seen no reason to stop, and is about to wait, must hear of this.
        drop(lock(&merger));
        moved.notify_all();
    });
    no_room.into_inner().unwrap_or_else(PoisonError::into_inner).map_or_else(|| control.check(), Err)
}

/// Rows per block so that a block holds about `bytes` of input, at least `least` rows.
pub fn block_rows(row_bytes: usize, bytes: usize, least: usize) -> usize {
    (bytes / row_bytes.max(1)).max(least).max(1)
}

struct Merger<'m> {
    merged: usize,
    waiting: BTreeSet<usize>,
    merge: &'m mut (dyn FnMut(usize) + Send),
    broken: bool,
}

impl Merger<'_> {
    fn put(&mut self, index: usize) {
        self.waiting.insert(index);
        while self.waiting.remove(&self.merged) {
            (self.merge)(self.merged);
            self.merged += 1;
        }
    }
}

struct BreakOnPanic<'a, 'm> {
    merger: &'a Mutex<Merger<'m>>,
    moved: &'a Condvar,
    armed: bool,
}

impl Drop for BreakOnPanic<'_, '_> {
    fn drop(&mut self) {
        if self.armed {
            lock(self.merger).broken = true;
            self.moved.notify_all();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn partials_are_merged_in_the_order_of_the_rows() {
        // Miri refuses the queues of rayon, which one thread does without.
        let (n, most) = if cfg!(miri) { (103, 1) } else { (1003, 3) };
        for threads in 1..=most {
            let former = pool::set_num_threads_here(threads);
            let mut seen = Vec::new();
            let mut doubled = vec![0; 2 * n];
            pass(
                n,
                10,
                &Control::new(),
                &mut doubled,
                |rows, out| {
                    for (i, pair) in rows.clone().zip(out.chunks_mut(2)) {
                        pair.fill(2 * i);
                    }
                    rows
                },
                |rows| seen.extend(rows),
            )
            .unwrap();
            pool::set_num_threads_here(former);
            assert_eq!(seen, Vec::from_iter(0..n));
            assert_eq!(doubled, Vec::from_iter((0..n).flat_map(|i| [2 * i, 2 * i])));
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri refuses the queues of rayon")]
    fn a_cancelled_pass_says_so() {
        let control = Control::new();
        control.cancel();
        let done = pass(10, 1, &control, &mut [] as &mut [u8], |_, _| (), |()| ());
        assert_eq!(done, Err(Error::Cancelled));
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri refuses the queues of rayon")]
    fn a_pass_ends_with_the_error_of_a_block_that_gets_no_memory() {
        let long = |rows: Range<usize>, _: &mut [u8]| {
            room::zeros_or_unwind::<f64>(if rows.start == 500 { usize::MAX } else { 1 }, "partials")
        };
        for threads in 1..4 {
            let former = pool::set_num_threads_here(threads);
            let mut merged = 0;
            let done = pass(100_000, 1, &Control::new(), &mut [], long, |_| merged += 1);
            pool::set_num_threads_here(former);
            assert!(matches!(done, Err(Error::NoRoom { what: "partials", .. })), "{done:?}");
            assert!(merged <= 500);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri refuses the queues of rayon")]
    fn no_rows_is_no_work() {
        pass(0, 4, &Control::new(), &mut [] as &mut [u8], |_, _| (), |()| unreachable!()).unwrap();
    }
}
