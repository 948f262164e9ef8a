//! Products of a few rows with a few centres: the inner loop of an assignment.

use crate::engine::simd::{Real, Simd};

/// Rows at a time.
pub const ROWS: usize = 4;

/// `dots[r * chosen.len() + i] = x_r · c_chosen[i]` for [`ROWS`] rows of `stride` values, whole lines, one after another.
///
/// Every product is summed in the same order whatever it is computed beside, so it does not depend on what is chosen.
#[inline(always)]
pub fn products<S: Simd, R: Real>(simd: S, x: &[R], packed: &[R], stride: usize, chosen: &[u32], dots: &mut [R]) {
    let center = |i: usize| &packed[chosen[i] as usize * stride..][..stride];
    let row = |r: usize| &x[r * stride..][..stride];
    let count = chosen.len();
    let mut first = 0;
    while first < count {
        let left = count - first;
        if left >= 8 && S::REGISTER_COUNT >= 32 {
            for r in (0..ROWS).step_by(2) {
                let at = (r * count + first, count);
                group::<S, R, 2, 8>(simd, [row(r), row(r + 1)], std::array::from_fn(|c| center(first + c)), dots, at);
            }
            first += 8;
        } else if left >= 4 {
            for r in (0..ROWS).step_by(2) {
                let at = (r * count + first, count);
                group::<S, R, 2, 4>(simd, [row(r), row(r + 1)], std::array::from_fn(|c| center(first + c)), dots, at);
            }
            first += 4;
        } else if left >= 2 {
            let (rows, centers) = ([row(0), row(1), row(2), row(3)], [center(first), center(first + 1)]);
            group::<S, R, 4, 2>(simd, rows, centers, dots, (first, count));
            first += 2;
        } else {
            let rows = [row(0), row(1), row(2), row(3)];
            group::<S, R, 4, 1>(simd, rows, [center(first)], dots, (first, count));
            first += 1;
        }
    }
}

/// N rows with K centres, all sums in registers; to `dots[at.0 + r * at.1 + c]`.
#[inline(always)]
fn group<S: Simd, R: Real, const N: usize, const K: usize>(
    simd: S,
    rows: [&[R]; N],
    centers: [&[R]; K],
    dots: &mut [R],
    at: (usize, usize),
) {
    let (lanes, len) = (R::lanes::<S>(), rows[0].len());
    assert!(rows.iter().all(|row| row.len() == len) && centers.iter().all(|center| center.len() == len));
    let mut sums = [[R::splat(simd, R::ZERO); K]; N];
    let mut start = 0;
    while start + lanes <= len {
        // SAFETY: `start + lanes <= len`, the length of each slice.
        let (x, c) = unsafe {
            (
                rows.map(|row| R::load(simd, row.get_unchecked(start..start + lanes))),
                centers.map(|center| R::load(simd, center.get_unchecked(start..start + lanes))),
            )
        };
        for (sums, x) in sums.iter_mut().zip(x) {
            for (sum, c) in sums.iter_mut().zip(c) {
                *sum = R::mul_add(simd, x, c, *sum);
            }
        }
        start += lanes;
    }
    for (r, sums) in sums.iter().enumerate() {
        for (c, &sum) in sums.iter().enumerate() {
            dots[at.0 + r * at.1 + c] = <R as Real>::sum(simd, sum);
        }
    }
}
