//! How surely does a position belong to its segment? Its correlation with the mean of its own segment, and the best with
//! that of any other.
//!
//! Both about the mean of all positions, v = x − p: r = v·w / (|v| |w|) for w the mean of a segment less p. Cost: 2 n d k flops
//! and one read of the data.

use super::labels::check_labels;
use crate::engine::panel::Panel;
use crate::engine::pass::pass;
use crate::engine::room;
use crate::engine::rows::Rows;
use crate::engine::simd::{Pixel, Real, Simd, WithSimd, dispatch};
use crate::engine::tiles::{BLOCK_ROWS, pack_offset, project, tile_rows, tiles};
use crate::methods::kmeans::{Distance, sum_squares};
use crate::{Control, Error, Result};

/// Centres a panel holds: their products with a tile of rows stay in cache.
const PANEL: usize = 64;

/// For each position the correlation with the mean of its own segment and the largest with another's: n × 2. `means` are
/// k × d, `origin` the mean of all. Zeros where the label is negative; the second is -1 where there is but one segment.
///
/// ```
/// use emcore::methods::slic::confidence;
/// use emcore::{Control, Rows};
///
/// let rows = Rows::from_slice(&[3.0f32, 1.0, 1.0, 3.0], 2, 2);
/// let means = [3.0, 1.0, 1.0, 3.0]; // of two segments, about (2, 2)
/// let correlations = confidence(rows, &[0, 1], &means, &[2.0, 2.0], &Control::new())?;
/// assert!(correlations.iter().all(|[own, other]| *own > 0.999 && *other < -0.999));
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn confidence<T: Pixel + Into<f64>>(
    rows: Rows<'_, T>,
    labels: &[i32],
    means: &[f64],
    origin: &[f64],
    control: &Control,
) -> Result<Vec<[f64; 2]>> {
    let d = rows.d();
    let k = means.len() / d.max(1);
    check_labels(labels, (rows.n(), 1), k)?;
    if d == 0 || means.len() != k * d || origin.len() != d {
        let message = format!("{} means and {} of all; k x {d} and {d} are needed", means.len(), origin.len());
        return Err(Error::invalid("means", message));
    }
    let offset = pack_offset::<T::Real>(Some(origin), d);
    let mut panels = Vec::new();
    for chosen in tiles(k, PANEL) {
        let unit = Vec::from_iter(means[chosen.start * d..chosen.end * d].chunks(d).map(|mean| {
            let length = sum_squares(mean.iter().zip(origin).map(|(x, p)| x - p)).sqrt();
            if length > 0.0 { 1.0 / length } else { 0.0 }
        }));
        let value = |j: usize, c: usize| T::Real::of((means[(chosen.start + c) * d + j] - origin[j]) * unit[c]);
        panels.push((chosen.start, Panel::<T::Real>::from_fn(d, chosen.len(), value)));
    }
    let mut correlations = room::filled(rows.n(), [0.0, f64::NEG_INFINITY], "correlations")?;
    control.expect(rows.n() as u64);
    let block = |range: std::ops::Range<usize>, out: &mut [[f64; 2]]| {
        let (mut scratch, mut dots) = (Vec::new(), Vec::new());
        for part in tiles(range.len(), tile_rows::<T>(d)) {
            if control.check().is_err() {
                return;
            }
            let first = range.start + part.start;
            let block = rows.block(first..range.start + part.end, &mut scratch);
            for (start, panel) in &panels {
                dots.resize(block.n() * panel.k(), T::Real::ZERO);
                project(block, &offset, panel, &mut dots);
                for (i, dots) in dots.chunks_mut(panel.k()).enumerate() {
                    let out = &mut out[part.start + i];
                    let own = usize::try_from(labels[first + i]).ok().and_then(|own| own.checked_sub(*start));
                    if let Some(dot) = own.and_then(|own| dots.get_mut(own)) {
                        out[0] = dot.f64();
                        *dot = T::Real::of(f64::NEG_INFINITY);
                    }
                    out[1] = out[1].max(dispatch(Largest(dots)));
                }
            }
            for (i, out) in out[part.start..part.end].iter_mut().enumerate() {
                let length = dispatch(Distance { x: block.row(i), factor: 1.0, center: origin }).sqrt();
                *out = match labels[first + i] {
                    0.. if length > 0.0 && k > 1 => out.map(|r| (r / length).clamp(-1.0, 1.0)),
                    0.. if length > 0.0 => [(out[0] / length).clamp(-1.0, 1.0), -1.0],
                    _ => [0.0; 2],
                };
            }
        }
    };
    pass(rows.n(), BLOCK_ROWS, control, &mut correlations, block, |()| ())?;
    Ok(correlations)
}

/// The largest value.
struct Largest<'a, R>(&'a [R]);

impl<R: Real> WithSimd for Largest<'_, R> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let mut top = [R::of(f64::NEG_INFINITY); 16];
        for part in self.0.chunks(16) {
            top.iter_mut().zip(part).for_each(|(top, &x)| *top = if x > *top { x } else { *top });
        }
        top.iter().fold(f64::NEG_INFINITY, |top, x| top.max(x.f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_correlates_most_with_what_it_is_made_of() {
        let (n, d, k) = (50, 37, 70);
        let data = Vec::from_iter((0..n * d).map(|i| ((i * 7919) % 251) as u16));
        let labels = Vec::from_iter((0..n).map(|i| if i == 3 { -1 } else { (i % k) as i32 }));
        let means = Vec::from_iter((0..k * d).map(|i| f64::from(data[i % (n * d)])));
        let origin = vec![100.0; d];
        let correlations =
            confidence(Rows::from_slice(&data, n, d), &labels, &means, &origin, &Control::new()).unwrap();
        for (i, correlations) in correlations.iter().enumerate() {
            let about = |v: &dyn Fn(usize) -> f64| Vec::from_iter((0..d).map(|j| v(j) - 100.0));
            let x = about(&|j| f64::from(data[i * d + j]));
            let r = |c: usize| {
                let w = about(&|j| means[c * d + j]);
                let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
                dot(&x, &w) / (dot(&x, &x) * dot(&w, &w)).sqrt()
            };
            let own = i % k;
            let other = (0..k).filter(|&c| c != own).map(r).fold(-1.0, f64::max);
            let expected = if i == 3 { [0.0; 2] } else { [r(own), other] };
            assert!((correlations[0] - expected[0]).abs() < 1e-5 && (correlations[1] - expected[1]).abs() < 1e-5);
        }
    }
}
