//! ½‖X − W H‖²: one visit of X per iteration.

use super::update::{self, LANES, Lane};
use super::{Fit, Parameters, Solver, Stall, block_rows};
use crate::engine::panel::{Panel, Workspaces};
use crate::engine::pass::pass;
use crate::engine::rows::Block;
use crate::engine::simd::{Pixel, Real, Simd, WithSimd, dispatch};
use crate::engine::tiles::{accumulate, pack_offset, project, tile_rows, tiles};
use crate::{Control, Result, Rows};
use std::ops::Range;

/// Below this fraction of ‖X‖² the loss is summed anew: the difference of large sums would lose too many digits.
const CANCELS: f64 = 1e-2;

/// Iterate. A feature's weight ω is worked into the thin factors: with H' = H √ω, `X √ω H'ᵀ = X (H ω)ᵀ`.
pub fn fit<T: Pixel>(
    x: Rows<'_, T>,
    w: &mut [T::Real],
    h: &mut [f64],
    weights: Option<&[f64]>,
    p: Parameters,
    control: &Control,
) -> Result<Fit> {
    let (d, k) = (x.d(), h.len() / x.d());
    let root = root_of(weights);
    scale(h, root.as_deref(), |h, r| h * r);
    let mut room = Room::new(d, k);

    let mut result = Fit { n_iter: 0, converged: false, loss: 0.0 };
    let mut first_violation = 0.0;
    let mut stall = Stall::new(0.0);
    let mut norm = 0.0;
    let start = wtw(w, k);
    while result.n_iter < p.max_iter && !result.converged {
        result.n_iter += 1;
        let first = result.n_iter == 1;
        let sums = sweep(x, w, h, root.as_deref(), p, first, &mut room, control)?;
        if first {
            norm = sums.norm;
            stall = Stall::new(0.5 * norm - sums.cross + loss_from(&start, &update::gram(h, k)));
        }
        let violation = sums.violation + update::columns(h, &sums.wtw, &room.wtx, p);
        if p.solver == Solver::Hals {
            first_violation = if first { violation } else { first_violation };
            result.converged = violation <= p.tol * first_violation;
        }
        let check = p.solver == Solver::Mu && p.tol > 0.0 && result.n_iter.is_multiple_of(10);
        if check || result.converged || result.n_iter == p.max_iter {
            let cross: f64 = room.wtx.iter().zip(&*h).map(|(b, h)| b * h).sum();
            result.loss = 0.5 * norm - cross + loss_from(&sums.wtw, &update::gram(h, k));
            result.converged |= check && stall.stalled(result.loss, p.tol);
        }
    }
    scale(h, root.as_deref(), |h, r| h / r);
    if result.loss < CANCELS * norm {
        result.loss = loss(x, w, h, weights, control)?;
    }
    Ok(result)
}

/// Memory that iterations share: what the system had back would have to come again, page by page.
pub struct Room<R> {
    /// H √ω.
    q: Panel<R>,
    total: Panel<f64, R>,
    partials: Workspaces<R>,
    /// The sum over rows that [`sweep`] leaves here: Wᵀ X √ω, k × d.
    pub wtx: Vec<f64>,
}

impl<R: Real> Room<R> {
    /// For k components of d features.
    pub fn new(d: usize, k: usize) -> Self {
        let (q, total) = (Panel::zeros(d, k), Panel::zeros(d, k));
        Self { q, total, partials: Workspaces::new(d, k), wtx: vec![0.0; k * d] }
    }
}

/// The small sums over rows that the update of H needs, and those that the loss needs.
pub struct Sums {
    /// Wᵀ W.
    pub wtw: Vec<f64>,
    /// ⟨Wᵀ X, H⟩ of the W there was; like `norm` only in the first visit.
    pub cross: f64,
    /// ‖X √ω‖².
    pub norm: f64,
    /// Σ|projected gradient| of W.
    pub violation: f64,
}

/// One visit of X: the new W of every row for H √ω, which is `h`, and the sums with it; Wᵀ X √ω goes to `room.wtx`.
#[allow(clippy::too_many_arguments)]
pub fn sweep<T: Pixel>(
    x: Rows<'_, T>,
    w: &mut [T::Real],
    h: &[f64],
    root: Option<&[f64]>,
    p: Parameters,
    first: bool,
    room: &mut Room<T::Real>,
    control: &Control,
) -> Result<Sums> {
    let (n, d, k) = (x.n(), x.d(), h.len() / x.d());
    let mut gram = update::gram(h, k);
    (0..k).for_each(|t| gram[t * k + t] += p.on_w.l2);
    let Room { q, total, partials, wtx } = room;
    update::pack_into(h, root, q);
    let state = State {
        q,
        offset: pack_offset(None, d),
        gram: Vec::from_iter(gram.iter().map(|&g| T::Real::of(g))),
        energy: first.then(|| padded(root, d)),
        p,
    };
    total.values_mut().fill(0.0);
    let mut small = Small::new(k);
    control.expect(n as u64);
    pass(
        n,
        block_rows(n),
        control,
        w,
        |range, w| {
            let mut part = partials.take();
            let small = visit(x, range, w, &state, &mut part);
            (part, small)
        },
        |(part, part_small)| {
            total.add(&part);
            partials.put(part);
            small.add(&part_small);
        },
    )?;
    update::unpack::<T::Real>(total, wtx);
    scale(wtx, root, |b, r| b * r);
    update::mirror(&mut small.wtw, k);
    let Small { wtw, cross, norm, violation } = small;
    Ok(Sums { wtw, cross, norm, violation })
}

/// ½⟨Wᵀ W, H Hᵀ⟩.
fn loss_from(wtw: &[f64], gram: &[f64]) -> f64 {
    0.5 * wtw.iter().zip(gram).map(|(a, b)| a * b).sum::<f64>()
}

/// Wᵀ W of n × k values.
pub fn wtw<R: Real>(w: &[R], k: usize) -> Vec<f64> {
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
    q: &'a Panel<R>,
    /// None is subtracted.
    offset: Vec<R>,
    gram: Vec<R>,
    /// √ω, [`padded`], where what the loss of the starting factors needs is to be summed.
    energy: Option<Vec<R>>,
    p: Parameters,
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
fn visit<T: Pixel>(
    x: Rows<'_, T>,
    range: Range<usize>,
    w: &mut [T::Real],
    state: &State<'_, T::Real>,
    wtx: &mut Panel<T::Real>,
) -> Small {
    let k = wtx.k();
    let tile = tile_rows::<T>(x.d());
    let mut scratch = Vec::new();
    let mut c = vec![T::Real::ZERO; tile * k];
    let mut small = Small::new(k);
    for rows in tiles(range.len(), tile) {
        let x = x.block(range.start + rows.start..range.start + rows.end, &mut scratch);
        let w = &mut w[rows.start * k..rows.end * k];
        let c = &mut c[..w.len()];
        project(x, &state.offset, state.q, c);
        if let Some(root) = &state.energy {
            small.cross += c.iter().zip(&*w).map(|(c, w)| c.f64() * w.f64()).sum::<f64>();
            small.norm += dispatch(Energy { x, root });
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
        let [mut lanes, mut above, mut spare] = [(); 3].map(|()| vec![[R::ZERO; LANES]; k]);
        let l1 = R::of(state.p.on_w.l1);
        let mut gram = vec![[R::ZERO; LANES]; k * (k + 1) / 2];
        for (w, c) in w.chunks_mut(LANES * k).zip(c.chunks(LANES * k)) {
            update::to_lanes(w, k, &mut lanes);
            update::to_lanes(c, k, &mut above);
            small.violation += update::sweeps(&mut lanes, &above, &mut spare, &state.gram, l1, state.p).f64();
            update::from_lanes(&lanes, k, w);
            // Lanes without a row hold zeros.
            add_gram(&lanes, &mut gram);
        }
        for s in 0..k {
            for (t, products) in gram[s * (s + 1) / 2..][..=s].iter().enumerate() {
                small.wtw[s * k + t] += products.iter().copied().sum::<R>().f64();
            }
        }
    }
}

/// Products of some rows' components, added lane by lane: Wᵀ W, the lower half.
#[inline(always)]
fn add_gram<R: Real>(w: &[Lane<R>], gram: &mut [Lane<R>]) {
    for s in 0..w.len() {
        for (gram, t) in gram[s * (s + 1) / 2..].iter_mut().zip(&w[..=s]) {
            for l in 0..LANES {
                gram[l] += w[s][l] * t[l];
            }
        }
    }
}

/// Σ ω x² of a tile.
struct Energy<'a, T: Pixel> {
    x: Block<'a, T>,
    root: &'a [T::Real],
}

impl<T: Pixel> WithSimd for Energy<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let (size, lanes) = (T::Real::LINE, T::Real::lanes::<S>());
        let mut tail = vec![T::default(); size];
        let mut total = 0.0;
        for i in 0..self.x.n() {
            let mut sums = [T::Real::splat(simd, T::Real::ZERO); 2];
            for (x, root) in self.x.row(i).chunks(size).zip(self.root.chunks_exact(size)) {
                let x = whole(x, &mut tail);
                for part in (0..size).step_by(2 * lanes) {
                    for (sum, at) in sums.iter_mut().zip([part, part + lanes]) {
                        let root = T::Real::load(simd, &root[at..]);
                        let x = T::Real::mul(simd, T::load(simd, &x[at..]), root);
                        *sum = T::Real::mul_add(simd, x, x, *sum);
                    }
                }
            }
            total += T::Real::sum(simd, T::Real::add(simd, sums[0], sums[1])).f64();
        }
        total
    }
}

/// √ω of each feature.
pub fn root_of(weights: Option<&[f64]>) -> Option<Vec<f64>> {
    weights.map(|weights| Vec::from_iter(weights.iter().map(|w| w.sqrt())))
}

/// √ω of d features, or ones, then zeros to the end of the line.
fn padded<R: Real>(root: Option<&[f64]>, d: usize) -> Vec<R> {
    let mut padded = Vec::from_iter((0..d).map(|j| R::of(root.map_or(1.0, |root| root[j]))));
    padded.resize(d.next_multiple_of(R::LINE), R::ZERO);
    padded
}

/// `x`, or, where it is shorter than `line`, a copy of it there.
#[inline(always)]
fn whole<'a, T: Pixel>(x: &'a [T], line: &'a mut [T]) -> &'a [T] {
    if x.len() == line.len() {
        return x;
    }
    line[..x.len()].copy_from_slice(x);
    line
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
    let h = update::pack(h, k, None);
    let root = padded(root_of(weights).as_deref(), d);
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
            dispatch(Residual { x: x.block(range, &mut scratch), w, h: &h, root: &root })
        },
        |part| total += part,
    )?;
    Ok(0.5 * total)
}

struct Residual<'a, T: Pixel> {
    x: Block<'a, T>,
    w: &'a [T::Real],
    h: &'a Panel<T::Real>,
    root: &'a [T::Real],
}

impl<T: Pixel> WithSimd for Residual<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let (size, lanes) = (T::Real::LINE, T::Real::lanes::<S>());
        let zero = T::Real::splat(simd, T::Real::ZERO);
        let mut tail = vec![T::default(); size];
        let mut total = 0.0;
        for (i, w) in self.w.chunks(self.h.k()).enumerate() {
            let mut sum = zero;
            for (index, x) in self.x.row(i).chunks(size).enumerate() {
                let x = whole(x, &mut tail);
                for part in (0..size).step_by(lanes) {
                    let mut model = zero;
                    for (h, &w) in self.h.line(index).chunks_exact(size).zip(w) {
                        model = T::Real::mul_add(simd, T::Real::load(simd, &h[part..]), T::Real::splat(simd, w), model);
                    }
                    let rest = T::Real::sub(simd, T::load(simd, &x[part..]), model);
                    let rest = T::Real::mul(simd, rest, T::Real::load(simd, &self.root[index * size + part..]));
                    sum = T::Real::mul_add(simd, rest, rest, sum);
                }
            }
            total += T::Real::sum(simd, sum).f64();
        }
        total
    }
}
