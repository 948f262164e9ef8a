//! Segments become one by how alike their signals are along the border that they share.
//!
//! Where a crystal bends or the beam drifts, the two ends of a grain differ as much as two grains do, but any two segments
//! that touch within it are alike; across a border between grains none are. The likeness of two regions is therefore that of
//! the pairs of segments that touch along their border, weighted by its length: with a·b the products and |a||b| the lengths
//! of the pairs, Σ w a·b / Σ w |a||b|. Merging adds sums of two borders; no signal is looked at again.
//!
//! Cost: for every pair that ever touches a few operations, and log of their number.

use super::merge::{Pair, Step};
use crate::engine::pool;
use crate::engine::room;
use crate::{Control, Error, Result};
use std::collections::{BTreeMap, BinaryHeap};

/// Two segments that touch, a below b.
#[derive(Debug, Clone, Copy)]
pub struct Border {
    /// The segments.
    pub pair: [u32; 2],
    /// Product of the signals of the two times the length of the border.
    pub product: f64,
    /// Product of the lengths of their signals times that of the border.
    pub lengths: f64,
}

/// All mergings of k segments, the most alike pair of regions first, until no two touch.
///
/// ```
/// use emcore::Control;
/// use emcore::methods::slic::{Border, merge_borders};
///
/// let border = |a, b, product| Border { pair: [a, b], product, lengths: 1.0 };
/// let steps = merge_borders(3, &[border(0, 1, 0.2), border(1, 2, 0.9)], &Control::new())?;
/// assert_eq!((steps[0].label, steps[0].merged, steps[1].correlation), (1, 2, 0.2));
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn merge_borders(k: usize, borders: &[Border], control: &Control) -> Result<Vec<Step>> {
    let mut touching: Vec<BTreeMap<u32, [f64; 2]>> = room::filled(k, BTreeMap::new(), "borders")?;
    for border in borders {
        let [a, b] = border.pair;
        if a >= b || b as usize >= k || border.product.is_nan() || border.lengths.is_nan() {
            return Err(Error::invalid("borders", format!("{border:?} is none of {k} segments, the lower one first")));
        }
        touching[a as usize].insert(b, [border.product, border.lengths]);
        touching[b as usize].insert(a, [border.product, border.lengths]);
    }
    let mut versions = room::zeros::<u32>(k, "borders")?;
    let mut heap = BinaryHeap::new();
    for (a, others) in touching.iter().enumerate() {
        heap.extend(others.range(a as u32 + 1..).map(|(&b, &sums)| pair_of(a as u32, b, sums, &versions)));
    }
    let mut steps = Vec::new();
    while let Some(pair) = heap.pop() {
        let (a, b) = (pair.a as usize, pair.b as usize);
        if pair.versions != [versions[a], versions[b]] {
            continue;
        }
        steps.push(Step { label: pair.a, merged: pair.b, correlation: pair.correlation });
        versions[a] += 1;
        versions[b] = u32::MAX;
        for (other, sums) in std::mem::take(&mut touching[b]) {
            touching[other as usize].remove(&pair.b);
            if other != pair.a {
                let own = touching[a].entry(other).or_default();
                own.iter_mut().zip(sums).for_each(|(own, more)| *own += more);
                let own = *own;
                touching[other as usize].insert(pair.a, own);
            }
        }
        let around = touching[a].iter();
        heap.extend(around.map(|(&other, &sums)| pair_of(pair.a.min(other), pair.a.max(other), sums, &versions)));
        control.check()?;
        pool::tick(control);
    }
    Ok(steps)
}

/// A pair of regions whose products of neighbours across their border, and their lengths, are these.
fn pair_of(a: u32, b: u32, [product, lengths]: [f64; 2], versions: &[u32]) -> Pair {
    let correlation = if lengths > 0.0 { (product / lengths).clamp(-1.0, 1.0) } else { 0.0 };
    Pair { correlation, a, b, versions: [versions[a as usize], versions[b as usize]] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn border(a: u32, b: u32, weight: f64, correlation: f64) -> Border {
        Border { pair: [a, b], product: weight * correlation, lengths: weight }
    }

    #[test]
    fn likeness_of_merged_regions_is_that_of_their_whole_border() {
        // 0 and 1 merge; their borders with 2, of length 1 and 3, become one.
        let borders = [border(0, 1, 2.0, 0.9), border(0, 2, 1.0, 0.8), border(1, 2, 3.0, 0.0)];
        let steps = merge_borders(3, &borders, &Control::new()).unwrap();
        assert_eq!((steps[0].label, steps[0].merged), (0, 1));
        assert_eq!((steps[1].label, steps[1].merged), (0, 2));
        assert!((steps[1].correlation - 0.2).abs() < 1e-12);
    }

    #[test]
    fn a_chain_whose_neighbours_are_alike_is_one_region_before_what_is_unlike() {
        let borders = Vec::from_iter((0..9).map(|a| border(a, a + 1, 1.0, if a == 4 { 0.1 } else { 0.9 })));
        let steps = merge_borders(10, &borders, &Control::new()).unwrap();
        assert_eq!(steps.len(), 9);
        assert!(steps[..8].iter().all(|step| step.correlation > 0.8) && steps[8].correlation < 0.2);
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        assert!(merge_borders(2, &[border(1, 0, 1.0, 1.0)], &Control::new()).is_err());
        assert!(merge_borders(2, &[border(0, 2, 1.0, 1.0)], &Control::new()).is_err());
        assert!(merge_borders(2, &[border(0, 1, f64::NAN, 1.0)], &Control::new()).is_err());
    }
}
