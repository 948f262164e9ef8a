//! ½‖X − W H‖²: one visit of X per iteration.

use super::update::{self, LANES, Lane};
use super::{Fit, Parameters, Solver, Stall, block_rows};
use crate::pass::pass;
use crate::products::{Panel, Spare, accumulate, pack_offset, project, tile_rows, tiles};
use crate::rows::Block;
use crate::simd::{Pixel, Real, Simd, WithSimd, dispatch};
use crate::{Control, Result, Rows};

/// Iterate. A feature's weight ω is worked into the thin factors: with H' = H √ω, `X √ω H'ᵀ = X (H ω)ᵀ`.
pub fn fit<T: Pixel>(
    x: Rows<'_, T>,
    w: &mut [T::Real],
    h: &mut [f64],
    weights: Option<&[f64]>,
    p: Parameters,
    control: &Control,
) -> Result<Fit> {
    let (n, d, k) = (x.n(), x.d(), h.len() / x.d());
    let root = weights.map(|weights| Vec::from_iter(weights.iter().map(|w| w.sqrt())));
    scale(h, root.as_deref(), |h, r| h * r);
    let spare = Spare::new(|| Panel::zeros::<T::Real>(d, k));

    let mut result = Fit { n_iter: 0, converged: false, loss: 0.0 };
    let mut first_violation = 0.0;
    let mut stall = None;
    let mut norm = 0.0;
    let start = wtw(w, k);
    while result.n_iter < p.max_iter && !result.converged {
        result.n_iter += 1;
        let mut gram = update::gram(h, k);
        let loss_at_start = loss_from(&start, &gram);
        (0..k).for_each(|t| gram[t * k + t] += p.on_w.l2);
        let weight = |j: usize| root.as_ref().map_or(1.0, |root| root[j]);
        let state = State {
            q: Panel::from_fn::<T::Real>(d, k, |j, t| T::Real::of(h[t * d + j] * weight(j))),
            offset: pack_offset(None, d),
            gram: Vec::from_iter(gram.iter().map(|&g| T::Real::of(g))),
            root: root.as_deref(),
            solver: p.solver,
            l1: T::Real::of(p.on_w.l1),
            norm: result.n_iter == 1 && p.solver == Solver::Mu,
        };
        let mut sum = Panel::zeros::<T::Real>(d, k);
        let mut total = Small::new(k);
        control.expect(n as u64);
        pass(
            n,
            block_rows(n),
            control,
            w,
            |range, w| {
                let mut scratch = Vec::new();
                let mut wtx = spare.take();
                let small = visit(x.block(range, &mut scratch), w, &state, &mut wtx);
                (wtx, small)
            },
            |(wtx, small)| {
                sum.add(&wtx);
                spare.put(wtx);
                total.add(&small);
            },
        )?;
        let mut wtx = sum.to_columns();
        update::mirror(&mut total.wtw, k);
        scale(&mut wtx, root.as_deref(), |b, r| b * r);
        if state.norm {
            norm = total.norm;
            stall = Some(Stall::new(0.5 * norm - total.cross + loss_at_start));
        }
        match p.solver {
            Solver::Hals => {
                let violation = total.violation + update::hals_h(h, &total.wtw, &wtx, p.on_h);
                if result.n_iter == 1 {
                    first_violation = violation;
                }
                result.converged = violation <= p.tol * first_violation;
            }
            Solver::Mu => {
                update::mu_h(h, &total.wtw, &wtx, p.on_h);
                if let Some(stall) = stall.as_mut().filter(|_| p.tol > 0.0 && result.n_iter.is_multiple_of(10)) {
                    let cross: f64 = wtx.iter().zip(&*h).map(|(b, h)| b * h).sum();
                    let loss = 0.5 * norm - cross + loss_from(&total.wtw, &update::gram(h, k));
                    result.converged = stall.stalled(loss, p.tol);
                }
            }
        }
    }
    scale(h, root.as_deref(), |h, r| h / r);
    Ok(result)
}

/// ½⟨Wᵀ W, H Hᵀ⟩.
fn loss_from(wtw: &[f64], gram: &[f64]) -> f64 {
    0.5 * wtw.iter().zip(gram).map(|(a, b)| a * b).sum::<f64>()
}

fn wtw<R: Real>(w: &[R], k: usize) -> Vec<f64> {
    let mut total = vec![0.0; k * k];
    for row in w.chunks(k) {
        for s in 0..k {
            for t in 0..k {
                total[s * k + t] += row[s].f64() * row[t].f64();
            }
        }
    }
    total
}

/// Every row of `values` times (or by) the roots of the weights.
fn scale(values: &mut [f64], root: Option<&[f64]>, by: impl Fn(f64, f64) -> f64) {
    if let Some(root) = root {
        for row in values.chunks_mut(root.len()) {
            row.iter_mut().zip(root).for_each(|(x, &r)| *x = by(*x, r));
        }
    }
}

struct State<'a, R> {
    q: Panel<R>,
    /// None is subtracted.
    offset: Vec<R>,
    gram: Vec<R>,
    root: Option<&'a [f64]>,
    solver: Solver,
    l1: R,
    /// Whether to sum what the loss of the starting factors needs.
    norm: bool,
}

/// The sums over rows that do not grow with d.
struct Small {
    wtw: Vec<f64>,
    cross: f64,
    norm: f64,
    violation: f64,
}

impl Small {
    fn new(k: usize) -> Self {
        Self { wtw: vec![0.0; k * k], cross: 0.0, norm: 0.0, violation: 0.0 }
    }

    fn add(&mut self, part: &Self) {
        self.wtw.iter_mut().zip(&part.wtw).for_each(|(a, b)| *a += b);
        self.cross += part.cross;
        self.norm += part.norm;
        self.violation += part.violation;
    }
}

/// New W of a block from the old, and its share of the sums.
fn visit<T: Pixel>(x: Block<'_, T>, w: &mut [T::Real], state: &State<'_, T::Real>, wtx: &mut Panel<T::Real>) -> Small {
    let k = wtx.k();
    let tile = tile_rows::<T>(x.d());
    let mut c = vec![T::Real::ZERO; tile * k];
    let mut small = Small::new(k);
    for rows in tiles(x.n(), tile) {
        let (x, w) = (x.part(rows.clone()), &mut w[rows.start * k..rows.end * k]);
        let c = &mut c[..w.len()];
        project(x, &state.offset, &state.q, c);
        if state.norm {
            small.cross += c.iter().zip(&*w).map(|(c, w)| c.f64() * w.f64()).sum::<f64>();
            small.norm += (0..x.n()).map(|i| energy(x.row(i), state.root)).sum::<f64>();
        }
        dispatch(Update { w, c, state, small: &mut small });
        accumulate(x, &state.offset, w, wtx);
    }
    small
}

/// New W of a tile from `c = X_b Hᵀ`.
struct Update<'a, R: Real> {
    w: &'a mut [R],
    c: &'a [R],
    state: &'a State<'a, R>,
    small: &'a mut Small,
}

impl<R: Real> WithSimd for Update<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { w, c, state, small } = self;
        let k = state.q.k();
        let (mut lanes, mut above) = (vec![[R::ZERO; LANES]; k], vec![[R::ZERO; LANES]; k]);
        for (w, c) in w.chunks_mut(LANES * k).zip(c.chunks(LANES * k)) {
            update::to_lanes(w, k, &mut lanes);
            update::to_lanes(c, k, &mut above);
            match state.solver {
                Solver::Hals => {
                    above.iter_mut().flatten().for_each(|c| *c = *c - state.l1);
                    small.violation += update::hals(&mut lanes, &above, &state.gram).f64();
                }
                Solver::Mu => update::mu(&mut lanes, &mut above, &state.gram, state.l1),
            }
            update::from_lanes(&lanes, k, w);
            add_gram(&lanes, &mut small.wtw);
        }
    }
}

/// `into += Wᵀ W` of some rows, the lower half.
#[inline(always)]
fn add_gram<R: Real>(w: &[Lane<R>], into: &mut [f64]) {
    let k = w.len();
    for s in 0..k {
        for t in 0..=s {
            let mut products = [R::ZERO; LANES];
            for l in 0..LANES {
                products[l] = w[s][l] * w[t][l];
            }
            into[s * k + t] += products.into_iter().sum::<R>().f64();
        }
    }
}

/// Σ ω x² of a row, in f64.
#[inline(always)]
fn energy<T: Pixel>(row: &[T], root: Option<&[f64]>) -> f64 {
    match root {
        None => row.iter().map(|x| x.real().f64() * x.real().f64()).sum(),
        Some(root) => row.iter().zip(root).map(|(x, r)| (x.real().f64() * r) * (x.real().f64() * r)).sum(),
    }
}

/// ½ Σ ω (X − W H)², directly.
pub fn loss<T: Pixel>(
    x: Rows<'_, T>,
    w: &[T::Real],
    h: &[f64],
    weights: Option<&[f64]>,
    control: &Control,
) -> Result<f64> {
    let (n, d, k) = (x.n(), x.d(), h.len() / x.d());
    let h = Vec::from_iter(h.iter().map(|&h| T::Real::of(h)));
    let weights = Vec::from_iter((0..d).map(|j| T::Real::of(weights.map_or(1.0, |w| w[j]))));
    let mut total = 0.0;
    control.expect(n as u64);
    pass(
        n,
        block_rows(n),
        control,
        &mut [] as &mut [u8],
        |range, _| {
            let mut scratch = Vec::new();
            let w = &w[range.start * k..range.end * k];
            dispatch(Residual { x: x.block(range, &mut scratch), w, h: &h, weights: &weights })
        },
        |part| total += part,
    )?;
    Ok(0.5 * total)
}

struct Residual<'a, T: Pixel> {
    x: Block<'a, T>,
    w: &'a [T::Real],
    h: &'a [T::Real],
    weights: &'a [T::Real],
}

impl<T: Pixel> WithSimd for Residual<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let d = self.x.d();
        let k = self.h.len() / d;
        let mut rest = vec![T::Real::ZERO; d];
        let mut total = 0.0;
        for (i, w) in self.w.chunks(k).enumerate() {
            rest.iter_mut().zip(self.x.row(i)).for_each(|(r, x)| *r = x.real());
            for (&w, h) in w.iter().zip(self.h.chunks(d)) {
                rest.iter_mut().zip(h).for_each(|(r, &h)| *r = *r - w * h);
            }
            total += rest.iter().zip(self.weights).map(|(r, w)| (*r * *r * *w).f64()).sum::<f64>();
        }
        total
    }
}
