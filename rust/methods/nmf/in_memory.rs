//! Rows in memory, with what their visits share: [`Source`] for the driver, and one visit of some of the rows of another.

use super::driver::Source;
use super::parameters::{Loss, Parameters, Partial, count_components};
use super::spectra::{Spectra, floor};
use super::{frobenius, kullback};
use crate::engine::room;
use crate::engine::simd::Pixel;
use crate::{Control, Result, Rows};

/// X and W (n × k) in memory.
pub(super) struct InMemory<'r, 'a, T: Pixel> {
    x: Rows<'r, T>,
    w: &'a mut [T::Real],
    weights: Option<&'a [f64]>,
    p: Parameters,
    workspace: Workspace<T::Real>,
}

/// Memory that the visits share: what the system had back would have to come again, page by page.
enum Workspace<R> {
    Frobenius(frobenius::Workspace<R>),
    KullbackLeibler(kullback::Workspace<R>),
}

impl<'r, 'a, T: Pixel> InMemory<'r, 'a, T> {
    /// Makes it for `h` values of H; refuses what does not fit.
    pub(super) fn new(
        x: Rows<'r, T>,
        w: &'a mut [T::Real],
        h: usize,
        weights: Option<&'a [f64]>,
        p: Parameters,
    ) -> Result<Self> {
        p.check()?;
        let (d, k) = (x.d(), count_components((x.n(), x.d()), w.len(), h, weights)?);
        // H as it is multiplied, the sums with it, and those of threads.
        room::check::<f64>(8 * k as u128 * d as u128, "components of all features")?;
        let workspace = match p.loss {
            Loss::Frobenius => Workspace::Frobenius(frobenius::Workspace::new(x.as_sparse().is_some(), d, k, weights)),
            Loss::KullbackLeibler => Workspace::KullbackLeibler(kullback::Workspace::new(d, k)),
        };
        Ok(Self { x, w, weights, p, workspace })
    }
}

impl<T: Pixel> Source for InMemory<'_, '_, T> {
    fn shape(&self) -> (usize, usize) {
        (self.x.n(), self.x.d())
    }

    fn mean(&mut self, control: &Control) -> Result<f64> {
        kullback::mean(self.x, control)
    }

    fn visit(&mut self, h: &[f64], first: bool, mean: f64, partial: &mut Partial, control: &Control) -> Result<()> {
        let Self { x, w, weights, p, workspace } = self;
        match workspace {
            Workspace::Frobenius(workspace) => frobenius::sweep(*x, w, h, *p, first, workspace, partial, control),
            Workspace::KullbackLeibler(workspace) => {
                let spectra = Spectra::new(h, *weights, floor(mean), x.d());
                kullback::sweep(*x, w, &spectra, p.on_w, workspace, partial, control)
            }
        }
    }

    fn loss(&mut self, h: &[f64], mean: f64, control: &Control) -> Result<f64> {
        loss(self.x, self.w, h, self.weights, self.p.loss, Some(mean), control)
    }
}

/// Visits some of the rows of a [`Source`]: their new W for fixed H, as [`Source::visit`] has it, and their sums.
#[allow(clippy::too_many_arguments)]
pub fn visit<T: Pixel>(
    x: Rows<'_, T>,
    w: &mut [T::Real],
    h: &[f64],
    weights: Option<&[f64]>,
    parameters: Parameters,
    first: bool,
    mean: f64,
    control: &Control,
) -> Result<Partial> {
    let mut partial = Partial::default();
    InMemory::new(x, w, h.len(), weights, parameters)?.visit(h, first, mean, &mut partial, control)?;
    Ok(partial)
}

/// Returns the loss of `w` (n × k) and `h` (k × d), without penalties. `mean` is that of all data, of which these rows may
/// be some only; by default that of the rows.
///
/// ```
/// use emcore::methods::nmf::{Loss, loss};
/// use emcore::{Control, Rows};
///
/// let x = Rows::from_slice(&[1.0, 2.0], 1, 2);
/// assert_eq!(loss(x, &[1.0], &[1.0, 1.0], None, Loss::Frobenius, None, &Control::new()), Ok(0.5));
/// ```
pub fn loss<T: Pixel>(
    x: Rows<'_, T>,
    w: &[T::Real],
    h: &[f64],
    weights: Option<&[f64]>,
    loss: Loss,
    mean: Option<f64>,
    control: &Control,
) -> Result<f64> {
    count_components((x.n(), x.d()), w.len(), h.len(), weights)?;
    match loss {
        Loss::Frobenius => frobenius::loss(x, w, h, weights, control),
        Loss::KullbackLeibler => kullback::loss(x, w, h, weights, mean, control),
    }
}
