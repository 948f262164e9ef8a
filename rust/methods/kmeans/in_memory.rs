//! Rows in memory, as Lloyd's iteration visits them: sums follow the rows that change cluster.

use super::assign::Assignment;
use super::centers::Centers;
use super::exact;
use super::lloyd::Source;
use super::relocate::{FarRow, farthest};
use super::rows::WeightedRows;
use super::sums::ClusterSums;
use crate::engine::simd::Pixel;
use crate::{Control, Result};

/// Sums of floats are formed anew when so many times as many rows changed cluster as there are.
const REBUILD: usize = 8;

/// Rows, their clusters, and what is remembered of both.
pub struct InMemory<'x, 'a, 'w, T: Pixel> {
    x: &'x WeightedRows<'a, 'w, T>,
    centers: Centers<T::Real>,
    assignment: Assignment<T::Real>,
    sums: ClusterSums,
    /// Rows that changed cluster since sums were formed.
    changes: usize,
    assigned: bool,
}

impl<'x, 'a, 'w, T: Pixel + Into<f64>> InMemory<'x, 'a, 'w, T> {
    /// Rows that belong to no cluster yet; the centres are those to begin with.
    pub fn new(x: &'x WeightedRows<'a, 'w, T>, centers: Vec<f64>) -> Result<Self> {
        let centers = Centers::new(x, centers);
        let (assignment, sums) = (Assignment::new(x, centers.k)?, ClusterSums::new(centers.k, centers.d));
        Ok(Self { x, centers, assignment, sums, changes: 0, assigned: false })
    }

    /// The clusters of all rows.
    pub fn into_labels(self) -> Result<Vec<u32>> {
        self.assignment.into_labels()
    }
}

impl<T: Pixel + Into<f64>> Source for InMemory<'_, '_, '_, T> {
    fn assign(&mut self, centers: &[f64], control: &Control) -> Result<usize> {
        self.centers.move_to(centers);
        let moved = self.assignment.assign(self.x, &self.centers, Some(&mut self.sums), control)?;
        self.changes += moved;
        let many = moved == 0 || self.changes > REBUILD * self.x.rows.n();
        if std::mem::replace(&mut self.assigned, true) && many && !self.x.sums_are_exact() {
            // As many steps round sums of floats as if they were formed a few times over.
            self.sums = ClusterSums::of(self.x, self.centers.k, |i| self.assignment.label(i), control)?;
            self.changes = 0;
        }
        Ok(moved)
    }

    fn sums(&self) -> (&ClusterSums, &[f64]) {
        (&self.sums, &self.centers.origin)
    }

    fn farthest(&mut self, centers: &[f64], count: usize, control: &Control) -> Result<Vec<FarRow>> {
        let label = |i: usize| self.assignment.label(i) as usize;
        let (_, far) = farthest(self.x, centers, label, count, control)?;
        Ok(far.into_iter().map(|(i, _)| FarRow::new(self.x, i, label(i))).collect())
    }

    fn inertia(&mut self, centers: &[f64], control: &Control) -> Result<f64> {
        match self.sums.inertia(centers, &self.centers.origin) {
            Some(inertia) => Ok(inertia),
            None => exact::inertia(self.x, centers, |i| self.assignment.label(i) as usize, control),
        }
    }

    fn finish(&mut self, centers: &[f64], control: &Control) -> Result<f64> {
        self.centers.move_to(centers);
        self.assignment.assign(self.x, &self.centers, Some(&mut self.sums), control)?;
        self.inertia(centers, control)
    }
}
