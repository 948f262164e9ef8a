//! Rows that are purest: successive projection (Araujo et al. 2001; Gillis & Vavasis 2014).

use super::block_rows;
use crate::engine::pass::pass;
use crate::engine::simd::{Pixel, Real};
use crate::{Control, Result, Rows};

/// Indices of up to k rows such that all others are nearly mixtures of them: each is, of the rows scaled to sum 1, the one
/// farthest from the span of those before. Fewer than k when the rows span less. k passes over X.
pub fn pure_rows<T: Pixel>(x: Rows<'_, T>, k: usize, weights: Option<&[f64]>, control: &Control) -> Result<Vec<usize>> {
    let mut known = vec![0.0; 2 * x.n()];
    choose(
        x.d(),
        k,
        weights,
        |newest| farthest(x, &mut known, newest, weights, control),
        |index| {
            let mut scratch = Vec::new();
            Ok(x.block(index..index + 1, &mut scratch).row(0).iter().map(|x| x.real().f64()).collect())
        },
    )
}

/// What a pass finds: a squared distance from the span, and whose it is.
pub type Far = (f64, Option<usize>);

/// [`pure_rows`], wherever they are: `farthest(newest direction)` is one pass over all of them, `row(index)` gives one.
pub fn choose(
    d: usize,
    k: usize,
    weights: Option<&[f64]>,
    mut farthest: impl FnMut(Option<&[f64]>) -> Result<Far>,
    mut row: impl FnMut(usize) -> Result<Vec<f64>>,
) -> Result<Vec<usize>> {
    let weights = Vec::from_iter((0..d).map(|j| weights.map_or(1.0, |w| w[j])));
    let mut basis: Vec<Vec<f64>> = Vec::new();
    let mut found = Vec::new();
    let mut largest = 0.0;
    while found.len() < k {
        let (far, best) = farthest(basis.last().map(|q| &q[..]))?;
        largest = f64::max(largest, far);
        let Some(index) = best else { break };
        if far <= 1e-12 * largest || found.contains(&index) {
            break;
        }
        found.push(index);
        // The direction of this row that is orthogonal to the others, as it multiplies raw rows: times ω.
        let mut q = Vec::from_iter(row(index)?.iter().zip(&weights).map(|(x, w)| x * w));
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

/// One pass: the row farthest from the span, of which `newest` is the last direction (none yet: it is empty). `known` keeps
/// two numbers of each row: 1 / sum, and its squared distance from the span so far.
pub fn farthest<T: Pixel>(
    x: Rows<'_, T>,
    known: &mut [f64],
    newest: Option<&[f64]>,
    weights: Option<&[f64]>,
    control: &Control,
) -> Result<Far> {
    let (n, d) = (x.n(), x.d());
    let weights = Vec::from_iter((0..d).map(|j| weights.map_or(1.0, |w| w[j])));
    let mut best = (0.0, None);
    control.expect(n as u64);
    pass(
        n,
        block_rows(n),
        control,
        known,
        |range, known| {
            let mut scratch = Vec::new();
            let block = x.block(range.clone(), &mut scratch);
            let mut best = (0.0, None);
            for (i, known) in known.chunks_exact_mut(2).enumerate() {
                let row = block.row(i).iter().map(|x| x.real().f64());
                match newest {
                    None => {
                        let sum: f64 = row.clone().zip(&weights).map(|(x, w)| x * w).sum();
                        known[0] = if sum > 0.0 { 1.0 / sum } else { 0.0 };
                        known[1] = row.zip(&weights).map(|(x, w)| w * x * x).sum::<f64>() * known[0] * known[0];
                    }
                    Some(q) => {
                        let along = row.zip(q).map(|(x, q)| x * q).sum::<f64>() * known[0];
                        known[1] = (known[1] - along * along).max(0.0);
                    }
                }
                if known[1] > best.0 {
                    best = (known[1], Some(range.start + i));
                }
            }
            best
        },
        |part: Far| {
            if part.0 > best.0 {
                best = part;
            }
        },
    )?;
    Ok(best)
}
