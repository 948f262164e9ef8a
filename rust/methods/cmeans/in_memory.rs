//! The passes over rows in memory.

use super::driver::{Members, Source};
use super::model::{MembershipSums, Memberships, Model};
use super::power::Power;
use super::settings::length;
use super::tile::{Task, tile_rows, visit};
use crate::engine::pass::pass;
use crate::engine::simd::{Pixel, Real};
use crate::engine::tiles::tiles;
use crate::methods::moments::{Moments, moments, weighted_moments};
use crate::{Control, Error, Result, Rows};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Rows per block of a pass at most, and the flops that a block takes at most, so that it can be stopped soon.
const BLOCK: (usize, usize) = (8192, 1 << 27);

/// Rows in memory, and what is remembered of them between passes.
pub struct InMemory<'r, 'u, T: Pixel> {
    rows: Rows<'r, T>,
    /// n × k to start from, or none.
    start: &'u [T::Real],
    /// What every row counts for, or none.
    weights: Option<&'u [f64]>,
    /// The same in the arithmetic, or empty.
    rounded: Vec<T::Real>,
    /// A row near which a membership changed by more than the tolerance the last time.
    witness: usize,
}

impl<'r, 'u, T: Pixel> InMemory<'r, 'u, T> {
    /// Rows, the memberships to start from, if it starts from such, and what every row counts for.
    pub fn new(rows: Rows<'r, T>, start: &'u [T::Real], weights: Option<&'u [f64]>) -> Self {
        Self { rows, start, weights, rounded: rounded(weights), witness: 0 }
    }

    fn memberships<'m>(&self, members: Members<'m, T::Real>) -> Memberships<'m, T::Real>
    where
        'u: 'm,
    {
        match members {
            Members::Full => Memberships::Full,
            Members::Start => Memberships::Stored(self.start),
            Members::Of(model) => Memberships::Of(model),
        }
    }
}

impl<T: Pixel + Into<f64>> Source<T::Real> for InMemory<'_, '_, T>
where
    T::Real: Power,
{
    fn shape(&self) -> (usize, usize) {
        (self.rows.n(), self.rows.d())
    }

    fn moments(&self, control: &Control) -> Result<Moments> {
        match self.weights {
            None => moments(self.rows, control),
            Some(weights) => weighted_moments(self.rows, weights, control),
        }
    }

    fn sums(&self, members: Members<'_, T::Real>, about: &Model<T::Real>, control: &Control) -> Result<MembershipSums> {
        sweep(self.rows, self.memberships(members), about, None, &self.rounded, control)
    }

    fn iterate(
        &mut self,
        model: &Model<T::Real>,
        former: Option<Members<'_, T::Real>>,
        tol: f64,
        control: &Control,
    ) -> Result<(MembershipSums, bool)> {
        let sums = sweep(self.rows, Memberships::Of(model), model, None, &self.rounded, control)?;
        let changed = match former {
            Some(former) => {
                let former = self.memberships(former);
                former.check((self.rows.n(), self.rows.d()), model.k)?;
                changed(self.rows, model, former, &self.rounded, tol, &mut self.witness, control)?
            }
            None => true,
        };
        Ok((sums, changed))
    }
}

/// Weights in the type of the arithmetic; none where every row counts once.
pub fn rounded<R: Real>(weights: Option<&[f64]>) -> Vec<R> {
    weights.unwrap_or_default().iter().map(|&weight| R::of(weight)).collect()
}

/// Refuses weights that are not one number of at least 0 for each of n rows.
pub fn check_weights(weights: Option<&[f64]>, n: usize) -> Result<()> {
    let Some(weights) = weights else { return Ok(()) };
    length("weights", weights.len(), n, "one for each row")?;
    if weights.iter().any(|&weight| !(weight >= 0.0 && weight.is_finite())) {
        return Err(Error::invalid("weights", "one is negative or no number; give what each row counts for"));
    }
    Ok(())
}

/// Visits all rows: what `members` add up to about the centres of `about`, and the largest change of a membership since
/// `former`, or infinity. `weights`: what every row counts for, or empty.
pub fn sweep<T: Pixel>(
    rows: Rows<'_, T>,
    members: Memberships<'_, T::Real>,
    about: &Model<T::Real>,
    former: Option<Memberships<'_, T::Real>>,
    weights: &[T::Real],
    control: &Control,
) -> Result<MembershipSums>
where
    T::Real: Power,
{
    about.check(rows.d())?;
    for of in [Some(members), former].into_iter().flatten() {
        of.check((rows.n(), rows.d()), about.k)?;
    }
    let mut total = MembershipSums::new(about);
    let block = |range: Range<usize>, _: &mut [u8]| {
        let mut sums = MembershipSums::new(about);
        sums.change = visit(&rows, range, (members, former), weights, Task::Sum(about, &mut sums));
        sums
    };
    control.expect(rows.n() as u64);
    pass(rows.n(), block_rows(about), control, &mut [], block, |sums| total.add(&sums))?;
    if former.is_none() {
        total.change = f64::INFINITY;
    }
    Ok(total)
}

/// Whether some membership of a model is further than `tol` from what it was. `witness` is a row near which that was so the last
/// time: all rows are only visited, until one is found, when nothing there has changed by so much.
#[allow(clippy::too_many_arguments)]
fn changed<T: Pixel>(
    rows: Rows<'_, T>,
    model: &Model<T::Real>,
    former: Memberships<'_, T::Real>,
    weights: &[T::Real],
    tol: f64,
    witness: &mut usize,
    control: &Control,
) -> Result<bool>
where
    T::Real: Power,
{
    let of = (Memberships::Of(model), Some(former));
    let differs = |range: Range<usize>| visit(&rows, range, of, weights, Task::Compare) > tol;
    let size = tile_rows(model).min(block_rows(model));
    if differs(*witness..(*witness + size).min(rows.n())) {
        return Ok(true);
    }
    let first = AtomicUsize::new(usize::MAX);
    let block = |range: Range<usize>, _: &mut [u8]| {
        for tile in tiles(range.len(), size) {
            let tile = range.start + tile.start..range.start + tile.end;
            if first.load(Relaxed) == usize::MAX && differs(tile.clone()) {
                first.fetch_min(tile.start, Relaxed);
            }
        }
    };
    control.expect(rows.n() as u64);
    pass(rows.n(), block_rows(model), control, &mut [], block, |()| ())?;
    let first = first.into_inner();
    *witness = if first == usize::MAX { *witness } else { first };
    Ok(first != usize::MAX)
}

/// Writes the memberships of all rows in the clusters of a model, n × k.
pub fn write<T: Pixel>(rows: Rows<'_, T>, model: &Model<T::Real>, out: &mut [T::Real], control: &Control) -> Result<()>
where
    T::Real: Power,
{
    Memberships::Stored(out).check((rows.n(), rows.d()), model.k)?;
    Memberships::Of(model).check((rows.n(), rows.d()), model.k)?;
    control.expect(rows.n() as u64);
    let block = |range: Range<usize>, out: &mut [T::Real]| {
        visit(&rows, range, (Memberships::Of(model), None), &[], Task::Write(out));
    };
    pass(rows.n(), block_rows(model), control, out, block, |()| ())
}

/// Whole tiles or, where they take long, whole groups.
fn block_rows<R: Real>(model: &Model<R>) -> usize {
    let flops = 4 * model.k * model.d * if model.whitening.is_some() { model.d } else { 1 };
    (BLOCK.1 / flops).clamp(R::LINE, BLOCK.0) / R::LINE * R::LINE
}
