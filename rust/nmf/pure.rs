//! Rows that are purest: successive projection (Araujo et al. 2001; Gillis & Vavasis 2014).

use super::block_rows;
use crate::pass::pass;
use crate::simd::{Pixel, Real};
use crate::{Control, Result, Rows};

/// Indices of up to k rows such that all others are nearly mixtures of them: each is, of the rows scaled to sum 1, the one
/// farthest from the span of those before. Fewer than k when the rows span less. k passes over X.
pub fn pure_rows<T: Pixel>(x: Rows<'_, T>, k: usize, weights: Option<&[f64]>, control: &Control) -> Result<Vec<usize>> {
    let (n, d) = (x.n(), x.d());
    let weights = Vec::from_iter((0..d).map(|j| weights.map_or(1.0, |w| w[j])));
    // Per row: 1 / sum, and the squared distance from the span so far.
    let mut rows = vec![(0.0, 0.0); n];
    let mut basis: Vec<Vec<f64>> = Vec::new();
    let mut found = Vec::new();
    let mut largest = 0.0;
    while found.len() < k {
        let newest = basis.last();
        let mut best = (0.0, None);
        control.expect(n as u64);
        pass(
            n,
            block_rows(n),
            control,
            &mut rows,
            |range, rows| {
                let mut scratch = Vec::new();
                let block = x.block(range.clone(), &mut scratch);
                let mut best = (0.0, None);
                for (i, (inverse, far)) in rows.iter_mut().enumerate() {
                    let row = block.row(i).iter().map(|x| x.real().f64());
                    match newest {
                        None => {
                            let sum: f64 = row.clone().zip(&weights).map(|(x, w)| x * w).sum();
                            *inverse = if sum > 0.0 { 1.0 / sum } else { 0.0 };
                            *far = row.zip(&weights).map(|(x, w)| w * x * x).sum::<f64>() * *inverse * *inverse;
                        }
                        Some(q) => {
                            let along = row.zip(q).map(|(x, q)| x * q).sum::<f64>() * *inverse;
                            *far = (*far - along * along).max(0.0);
                        }
                    }
                    if *far > best.0 {
                        best = (*far, Some(range.start + i));
                    }
                }
                best
            },
            |part: (f64, Option<usize>)| {
                if part.0 > best.0 {
                    best = part;
                }
            },
        )?;
        largest = f64::max(largest, best.0);
        let (far, Some(index)) = best else { break };
        if far <= 1e-12 * largest || found.contains(&index) {
            break;
        }
        found.push(index);
        // The direction of this row that is orthogonal to the others, as it multiplies raw rows: times ω.
        let mut scratch = Vec::new();
        let block = x.block(index..index + 1, &mut scratch);
        let mut q = Vec::from_iter(block.row(0).iter().zip(&weights).map(|(x, w)| x.real().f64() * w));
        for _ in 0..2 {
            for b in &basis {
                let along: f64 = q.iter().zip(b).zip(&weights).map(|((q, b), w)| q * b / w).sum();
                q.iter_mut().zip(b).for_each(|(q, b)| *q -= along * b);
            }
        }
        let norm = q.iter().zip(&weights).map(|(q, w)| q * q / w).sum::<f64>().sqrt();
        q.iter_mut().for_each(|q| *q /= norm);
        basis.push(q);
    }
    Ok(found)
}
