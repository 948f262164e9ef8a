//! What is read off memberships: the cluster of each row, and whether they sum to one.

use crate::engine::lanes::transpose;
use crate::engine::pass::pass;
use crate::engine::room;
use crate::engine::simd::{Real, Simd, WithSimd, dispatch};
use crate::{Control, Error, Result};
use std::ops::Range;

/// Rows of memberships that a thread takes at a time.
const BLOCK_ROWS: usize = 8192;

/// The row of k memberships whose sum is farthest from one, and its sum.
#[cfg(feature = "python")]
pub fn farthest_from_one<R: Real>(memberships: &[R], k: usize, control: &Control) -> Result<(usize, f64)> {
    let n = rows(memberships, k)?;
    let mut farthest = (0, 1.0);
    let further = |a: (usize, f64), b: (usize, f64)| if (b.1 - 1.0).abs() > (a.1 - 1.0).abs() { b } else { a };
    let block = |range: Range<usize>, _: &mut [u8]| {
        let rows = memberships[range.start * k..range.end * k].chunks_exact(k);
        let sums = rows.map(|row| row.iter().map(|u| u.f64()).sum());
        range.zip(sums).fold((0, 1.0), further)
    };
    control.expect(n as u64);
    pass(n, BLOCK_ROWS, control, &mut [], block, |row| farthest = further(farthest, row))?;
    Ok(farthest)
}

/// The cluster of largest membership of each row of k, of equal ones the first.
///
/// ```
/// use emcore::{Control, methods::cmeans::labels};
///
/// let memberships = [0.7f32, 0.3, 0.2, 0.8, 0.5, 0.5];
/// assert_eq!(labels(&memberships, 2, &Control::new())?, [0, 1, 0]);
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn labels<R: Real>(memberships: &[R], k: usize, control: &Control) -> Result<Vec<i32>> {
    let mut labels = room::zeros(rows(memberships, k)?, "labels")?;
    let block = |range: Range<usize>, labels: &mut [i32]| {
        dispatch(Labels { u: &memberships[range.start * k..range.end * k], k, labels });
    };
    control.expect(labels.len() as u64);
    pass(labels.len(), BLOCK_ROWS, control, &mut labels, block, |()| ())?;
    Ok(labels)
}

/// Number of rows of k values.
fn rows<R>(memberships: &[R], k: usize) -> Result<usize> {
    if k == 0 || !memberships.len().is_multiple_of(k) {
        let message = format!("{} values are no rows of {k} clusters; give one for each cluster", memberships.len());
        return Err(Error::invalid("memberships", message));
    }
    Ok(memberships.len() / k)
}

struct Labels<'a, R> {
    u: &'a [R],
    k: usize,
    labels: &'a mut [i32],
}

impl<R: Real> WithSimd for Labels<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (k, line) = (self.k, R::LINE);
        let (mut group, mut clusters) = (vec![R::ZERO; k * line], vec![R::ZERO; line]);
        for (labels, rows) in self.labels.chunks_mut(line).zip(self.u.chunks(k * line)) {
            transpose(rows, k, &mut group, line);
            for at in (0..line).step_by(R::lanes::<S>()) {
                let (mut most, mut best) = (R::load(simd, &group[at..]), R::splat(simd, R::ZERO));
                for c in 1..k {
                    let u = R::load(simd, &group[c * line + at..]);
                    best = R::where_less(simd, most, u, R::splat(simd, R::of(c as f64)), best);
                    most = R::max(simd, most, u);
                }
                R::store(simd, &mut clusters[at..], best);
            }
            // SAFETY: whole numbers below k.
            labels.iter_mut().zip(&clusters).for_each(|(label, c)| *label = unsafe { c.f64().to_int_unchecked() });
        }
    }
}
