//! The last step of power spectra: their exact median without sorting, and ln(1 + P/c) in place.

use crate::{Control, Error, Result, pass};

/// Values per block of a pass over the output.
const CHUNK: usize = 1 << 18;

/// How many values there are of each upper half of the bits of an `f32`: values that are not negative order like their bits.
pub struct Histogram(Vec<u64>);

impl Default for Histogram {
    /// Nothing counted.
    fn default() -> Self {
        Self(vec![0; 1 << 15])
    }
}

impl Histogram {
    /// Count values, none of them negative.
    pub fn count(&mut self, values: &[f32]) {
        for x in values {
            self.0[(x.to_bits() >> 16) as usize & 0x7fff] += 1;
        }
    }

    /// Add the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a += b);
    }

    /// The exact median of `values`, which are those counted; of those above zero, if more than half are zero (below
    /// 1e-40, to be exact); 0 if all are.
    pub fn median(&self, values: &[f32], control: &Control) -> Result<f64> {
        if self.0[0x7f80..].iter().any(|&n| n > 0) {
            return Err(Error::invalid("image", "its values are not finite"));
        }
        let total: u64 = self.0.iter().sum();
        let zeros = if self.0[0] > (total - 1) / 2 { self.0[0] } else { 0 };
        if zeros == total {
            return Ok(0.0);
        }
        let left = total - zeros;
        let low = self.value_of_rank(zeros + (left - 1) / 2, values, control)?;
        let high = if left % 2 == 1 { low } else { self.value_of_rank(zeros + left / 2, values, control)? };
        Ok((f64::from(low) + f64::from(high)) / 2.0)
    }

    fn value_of_rank(&self, rank: u64, values: &[f32], control: &Control) -> Result<f32> {
        let (upper, rank) = find(&self.0, rank);
        let mut lower = vec![0u64; 1 << 16];
        let chunks = values.len().div_ceil(CHUNK);
        control.expect(chunks as u64);
        let block = |range: std::ops::Range<usize>, _: &mut [u8]| {
            let mut lower = vec![0u32; 1 << 16];
            for part in values[range.start * CHUNK..values.len().min(range.end * CHUNK)].chunks(64) {
                if part.iter().filter(|x| x.to_bits() >> 16 == upper as u32).count() > 0 {
                    for x in part.iter().filter(|x| x.to_bits() >> 16 == upper as u32) {
                        lower[x.to_bits() as usize & 0xffff] += 1;
                    }
                }
            }
            lower
        };
        pass::pass(chunks, 1, control, &mut [], block, |part| {
            lower.iter_mut().zip(part).for_each(|(a, b)| *a += u64::from(b));
        })?;
        Ok(f32::from_bits((upper << 16 | find(&lower, rank).0) as u32))
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

/// What becomes of a power.
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
    let block = |_, part: &mut [&mut [f32]]| {
        match what {
            Finish::Multiply(f) => part[0].iter_mut().for_each(|x| *x = (f64::from(*x) * f) as f32),
            Finish::Root(f) => part[0].iter_mut().for_each(|x| *x = (f64::from(x.sqrt()) * f) as f32),
            Finish::Log { offset, add } => {
                part[0].iter_mut().for_each(|x| *x = ((f64::from(*x) / offset).ln_1p() + add) as f32)
            }
        }
        part[0].iter().all(|x| x.is_finite())
    };
    pass::pass(n, 1, control, &mut parts, block, |part| finite &= part)?;
    if finite {
        Ok(())
    } else {
        Err(Error::invalid("image", "its power spectra do not fit 32-bit floats; multiply the image by a small factor"))
    }
}
