//! Each row to its nearest centre, and what is remembered of the rows from one iteration to the next.

use super::bases::Bases;
use super::bounds::{Bounds, GroupBounds, Products};
use super::centers::Centers;
use super::parameters::{FEW, UNASSIGNED};
use super::rows::WeightedRows;
use super::sums::{ClusterSums, Workspaces};
use super::{few, many};
use crate::engine::pass::pass;
use crate::engine::room;
use crate::engine::simd::{Pixel, Real, dispatch};
use crate::engine::tiles::tiles;
use crate::{Control, Result};
use std::ops::Range;

/// Bytes of a row of X for which a bound on one more group of centres is kept: bounds take 2 % of X at most.
const BYTES_PER_GROUP: usize = 256;

/// The clusters of all rows, in blocks.
pub struct Assignment<R> {
    blocks: Vec<RowBlock<R>>,
    block_rows: usize,
    workspaces: Workspaces,
    /// Where products with them are remembered.
    bases: Option<Bases<R>>,
}

/// The clusters of some rows, and what is remembered of them.
struct RowBlock<R> {
    rows: Range<usize>,
    labels: Vec<u32>,
    /// Upper bounds of |x − p|, where features are many.
    sizes: Vec<f32>,
    bounds: Bounds<R>,
}

impl<R: Real> Assignment<R> {
    /// No row has a cluster of `k` yet.
    pub fn new<T: Pixel<Real = R> + Into<f64>>(x: &WeightedRows<'_, '_, T>, k: usize) -> Result<Self> {
        let (n, d) = (x.rows.n(), x.rows.d());
        let few = d <= FEW;
        let group = if few { k } else { k.div_ceil((x.rows.row_bytes() / BYTES_PER_GROUP).clamp(1, k)) };
        let bases = if few { None } else { Bases::new(n, x.rows.row_bytes(), k, d) };
        let block_rows = x.block_rows();
        let block = |rows: Range<usize>| {
            let n = rows.len();
            let bounds = match bases {
                Some(_) => Bounds::Products(Products::new(n, k)?),
                None => Bounds::Groups(GroupBounds::new(n, k, group)?),
            };
            let labels = room::filled(n, UNASSIGNED, "labels")?;
            Ok(RowBlock { rows, labels, sizes: room::zeros(if few { 0 } else { n }, "lengths of rows")?, bounds })
        };
        let blocks = tiles(n, block_rows).map(block).collect::<Result<_>>()?;
        Ok(Self { blocks, block_rows, workspaces: Workspaces::new(), bases })
    }

    /// The cluster of row `i`.
    pub fn label(&self, i: usize) -> u32 {
        self.blocks[i / self.block_rows].labels[i % self.block_rows]
    }

    /// The clusters of all rows.
    pub fn into_labels(self) -> Result<Vec<u32>> {
        let mut labels = Vec::new();
        room::reserve(&mut labels, self.blocks.iter().map(|block| block.labels.len()).sum(), "labels")?;
        self.blocks.iter().for_each(|block| labels.extend_from_slice(&block.labels));
        Ok(labels)
    }

    /// Finds the nearest centre of each row and brings `sums` up to date; returns how many rows changed cluster.
    pub fn assign<T: Pixel<Real = R> + Into<f64>>(
        &mut self,
        x: &WeightedRows<'_, '_, T>,
        centers: &Centers<R>,
        mut sums: Option<&mut ClusterSums>,
        control: &Control,
    ) -> Result<usize> {
        let summed = sums.is_some();
        if let Some(bases) = &mut self.bases {
            let of_rows = self.blocks.iter().flat_map(|block| match &block.bounds {
                Bounds::Products(products) => products.basis.as_slice(),
                Bounds::Groups(_) => &[],
            });
            bases.take_in(centers, of_rows, control)?;
        }
        let (bases, workspaces) = (self.bases.as_ref(), &self.workspaces);
        let table = (centers.d <= FEW).then(|| few::Table::new(centers));
        let mut moved = 0;
        control.expect(self.blocks.len() as u64);
        pass(
            self.blocks.len(),
            1,
            control,
            &mut self.blocks,
            |_, block| {
                let RowBlock { rows, labels, sizes, bounds } = &mut block[0];
                let (rows, workspaces) = (rows.clone(), summed.then_some(workspaces));
                match (&table, bounds) {
                    (Some(table), Bounds::Groups(groups)) => {
                        let bounds = &mut groups.slack;
                        dispatch(few::Visit { x, centers, table, rows, labels, bounds, workspaces, control })
                    }
                    (_, bounds) => {
                        many::Visit { x, centers, bases, rows, labels, sizes, bounds, workspaces, control }.run()
                    }
                }
            },
            |changes| {
                moved += changes.moved;
                if let Some(sums) = &mut sums {
                    sums.add(changes, workspaces);
                }
            },
        )?;
        Ok(moved)
    }
}
