//! The last step of power spectra: their exact median without sorting, and ln(1 + P/c) in place.

use crate::engine::pass;
use crate::engine::simd::{Simd, WithSimd, dispatch};
use crate::{Control, Error, Result};
use std::ops::Range;

/// Values per block of a pass over the output.
const CHUNK: usize = 1 << 18;

/// How many values there are of each upper half of the bits of an `f32`: values that are not negative order as their bits.
pub struct Histogram(Vec<u64>);

impl Default for Histogram {
    fn default() -> Self {
        Self(vec![0; 1 << 15])
    }
}

impl Histogram {
    /// Count values, none of them negative.
    pub fn count(&mut self, values: &[f32]) {
        let counts: &mut [u64; 1 << 15] = self.0.as_mut_slice().try_into().expect("made with this length");
        for x in values {
            counts[(x.to_bits() >> 16) as usize & 0x7fff] += 1;
        }
    }

    /// Add the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a += b);
    }

    /// The exact median of `values`, which are those counted; of those above zero, if more than half are zero (below
    /// 1e-40, to be exact); 0 if all are.
    pub fn median(&self, values: &[f32], control: &Control) -> Result<f64> {
        let total: u64 = self.0.iter().sum();
        let zeros = if self.0[0] > total / 2 { self.0[0] } else { 0 };
        if zeros == total {
            return Ok(0.0);
        }
        let ranks = [zeros + (total - zeros - 1) / 2, zeros + (total - zeros) / 2];
        let [(low, low_rank), (high, high_rank)] = ranks.map(|rank| find(&self.0, rank));
        let low_counts = lower_halves(values, low, control)?;
        let other = if high == low { None } else { Some(lower_halves(values, high, control)?) };
        let value = |upper: usize, counts: &[u64], rank| f32::from_bits((upper << 16 | find(counts, rank).0) as u32);
        let low_value = value(low, &low_counts, low_rank);
        let high_value = value(high, other.as_ref().unwrap_or(&low_counts), high_rank);
        Ok((f64::from(low_value) + f64::from(high_value)) / 2.0)
    }
}

/// How many of the values with this upper half of their bits there are of each lower half.
fn lower_halves(values: &[f32], upper: usize, control: &Control) -> Result<Vec<u64>> {
    let mut counts = vec![0; 1 << 16];
    let chunks = values.len().div_ceil(CHUNK);
    control.expect(chunks as u64);
    let block = |range: Range<usize>, _: &mut [u8]| {
        let mut selected = Vec::new();
        let values = &values[range.start * CHUNK..values.len().min(range.end * CHUNK)];
        dispatch(Select { values, upper: upper as u32, selected: &mut selected });
        selected
    };
    pass::pass(chunks, 1, control, &mut [], block, |selected| {
        for lower in selected {
            counts[usize::from(lower)] += 1;
        }
    })?;
    Ok(counts)
}

/// Lower halves of the bits of the values with this upper half.
struct Select<'a> {
    values: &'a [f32],
    upper: u32,
    selected: &'a mut Vec<u16>,
}

impl WithSimd for Select<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        // Few values are wanted: most runs are passed over without a branch per value.
        for run in self.values.chunks(128) {
            if run.iter().fold(false, |any, x| any | (x.to_bits() >> 16 == self.upper)) {
                let wanted = run.iter().map(|x| x.to_bits()).filter(|bits| bits >> 16 == self.upper);
                self.selected.extend(wanted.map(|bits| bits as u16));
            }
        }
    }
}

/// The bin in which the value of this rank lies, and its rank within the bin.
fn find(counts: &[u64], mut rank: u64) -> (usize, u64) {
    for (bin, &count) in counts.iter().enumerate() {
        if rank < count {
            return (bin, rank);
        }
        rank -= count;
    }
    unreachable!("the rank is below the number of values")
}

/// What becomes of a power P.
#[derive(Debug, Clone, Copy)]
pub enum Finish {
    /// P f
    Multiply(f64),
    /// √P f
    Root(f64),
    /// ln(1 + P / offset) + add
    Log {
        /// Above zero.
        offset: f64,
        /// Added to the logarithm.
        add: f64,
    },
}

/// Finish all `values` in place; fails where a result does not fit `f32`.
pub fn finish(values: &mut [f32], what: Finish, control: &Control) -> Result<()> {
    let mut parts = Vec::from_iter(values.chunks_mut(CHUNK));
    let n = parts.len();
    let mut finite = true;
    control.expect(n as u64);
    let block = |_, part: &mut [&mut [f32]]| dispatch(Apply(what, part[0]));
    pass::pass(n, 1, control, &mut parts, block, |part| finite &= part)?;
    if finite {
        return Ok(());
    }
    Err(Error::invalid("image", "its power spectra are too large for 32-bit floats; divide it by its largest value"))
}

struct Apply<'a>(Finish, &'a mut [f32]);

impl WithSimd for Apply<'_> {
    /// Whether all results are finite.
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        let Self(what, values) = self;
        match what {
            Finish::Multiply(f) => values.iter_mut().for_each(|x| *x = (f64::from(*x) * f) as f32),
            Finish::Root(f) => values.iter_mut().for_each(|x| *x = (f64::from(*x).sqrt() * f) as f32),
            Finish::Log { offset, add } => {
                let (factor, add) = (offset.recip().min(f64::from(f32::MAX)) as f32, add as f32);
                values.iter_mut().for_each(|x| *x = ln_1p((*x * factor).min(1e38)) + add);
            }
        }
        values.iter().fold(true, |all, x| all & x.is_finite())
    }
}

/// ln(1 + u) for 0 <= u <= 1e38 to 2 units in the last place, without branches: 1 + u = 2^k (1 + f) with 1 + f between √½
/// and √2, then the minimax polynomial of `logf` in Cephes (Moshier 1992).
#[inline(always)]
fn ln_1p(u: f32) -> f32 {
    const HALF_ROOT: u32 = 0x3f35_04f3; // √½
    let sum = 1.0 + u;
    let lost = u - (sum - 1.0);
    let bits = sum.to_bits() + (1.0f32.to_bits() - HALF_ROOT);
    let k = (bits >> 23) as i32 - 127;
    let shrink = f32::from_bits(((127 - k) as u32) << 23);
    let f = f32::from_bits((bits & 0x007f_ffff) + HALF_ROOT) - 1.0 + lost * shrink;
    let k = k as f32;
    let square = f * f;
    // ln 2 in two parts, the first exact for every k.
    (polynomial(f) * f * square + k * -2.121_944_4e-4 - 0.5 * square) + f + k * 0.693_359_4
}

/// (ln(1 + f) - f + f²/2) / f³ for 1 + f between √½ and √2: the minimax polynomial of `logf` in Cephes (Moshier 1992).
#[inline(always)]
pub(crate) fn polynomial(f: f32) -> f32 {
    let mut p = 7.037_683_6e-2;
    for c in [
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_7e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ] {
        p = p * f + c;
    }
    p
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::simd::on_each;

    #[derive(Clone)]
    struct Logarithms(Vec<f32>);
    impl WithSimd for Logarithms {
        type Output = Vec<f32>;
        #[inline(always)]
        fn with_simd<S: Simd>(mut self, simd: S) -> Vec<f32> {
            assert!(Apply(Finish::Log { offset: 1.0, add: 0.0 }, &mut self.0).with_simd(simd));
            self.0
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "hundreds of thousands of values")]
    fn the_logarithm_is_right_to_two_units_in_the_last_place() {
        let values = Vec::from_iter((0..1e38f32.to_bits()).step_by(4_999).map(f32::from_bits));
        for selected in on_each(Logarithms(values.clone())) {
            for (u, y) in values.iter().zip(selected) {
                let right = f64::from(*u).ln_1p();
                assert!((f64::from(y) - right).abs() <= 2.4e-7 * right + 1e-44, "{u}: {y} and {right}");
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "hundreds of thousands of values")]
    fn the_median_is_that_of_the_sorted_values() {
        let mut state = 1u32;
        for (n, zeros) in [(1, 0), (2, 0), (7, 3), (1000, 0), (1001, 400), (300_000, 140_000), (1000, 700), (5, 5)] {
            let mut values = vec![0.0; zeros];
            values.extend((zeros..n).map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                f32::from_bits((state >> 9) + (100 << 23))
            }));
            let mut histogram = Histogram::default();
            histogram.count(&values);
            let selected = histogram.median(&values, &Control::new()).unwrap();
            values.sort_by(f32::total_cmp);
            let nonzero = if 2 * zeros > n { &values[zeros..] } else { &values[..] };
            let middle = |i: usize| nonzero.get(i).copied().map_or(0.0, f64::from);
            assert_eq!(selected, (middle(nonzero.len().saturating_sub(1) / 2) + middle(nonzero.len() / 2)) / 2.0);
        }
    }
}
