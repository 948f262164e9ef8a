//! ½‖X − W H‖²: one visit of X per iteration.

use super::parameters::{Parameters, Partial, block_rows};
use super::update::{self, LANES, Lane, root_of, scale};
use crate::engine::filled::{Collect, Filled};
use crate::engine::panel::{Panel, Workspaces};
use crate::engine::pass::pass;
use crate::engine::rows::{Block, Part};
use crate::engine::simd::{Pixel, Real, Simd, WithSimd, dispatch};
use crate::engine::sparse::Sparse;
use crate::engine::tiles::{accumulate, pack_offset, project, tile_rows, tiles};
use crate::{Control, Result, Rows};
use std::ops::Range;

/// Memory that iterations share: what the system had back would have to come again, page by page.
pub struct Workspace<R> {
    /// √ω of each feature.
    root: Option<Vec<f64>>,
    /// H √ω, times √ω once more: as it multiplies raw rows.
    q: Panel<R>,
    total: Panel<f64, R>,
    partials: Workspaces<R>,
}

impl<R: Real> Workspace<R> {
    /// Makes it for k components of d features, for rows that are sparse or not.
    pub fn new(sparse: bool, d: usize, k: usize, weights: Option<&[f64]>) -> Self {
        let (q, total) = (Panel::zeros_for(sparse, d, k), Panel::zeros_for(sparse, d, k));
        Self { root: root_of(weights), q, total, partials: Workspaces::new(sparse, d, k) }
    }
}

/// Visits X once: the new W of every row for H √ω, which is `h`, and the sums with it.
#[allow(clippy::too_many_arguments)]
pub fn sweep<T: Pixel>(
    x: Rows<'_, T>,
    w: &mut [T::Real],
    h: &[f64],
    p: Parameters,
    first: bool,
    workspace: &mut Workspace<T::Real>,
    sums: &mut Partial,
    control: &Control,
) -> Result<()> {
    let (n, d, k) = (x.n(), x.d(), h.len() / x.d());
    sums.before = if first { wtw(w, k) } else { Vec::new() };
    let mut gram = update::gram(h, k);
    (0..k).for_each(|t| gram[t * k + t] += p.on_w.l2);
    let Workspace { root, q, total, partials } = workspace;
    let root = root.as_deref();
    update::pack_into(h, root, q);
    let fixed = Fixed {
        q,
        offset: pack_offset(None, d),
        gram: Vec::from_iter(gram.iter().map(|&g| T::Real::of(g))),
        energy: first.then(|| padded(root, d)),
        p,
    };
    total.values_mut().fill(0.0);
    let mut small = SmallSums::new(k);
    control.expect(n as u64);
    pass(
        n,
        block_rows(&x),
        control,
        w,
        |range, w| {
            let mut wtx = partials.take();
            let small = visit(x, range, w, &fixed, &mut wtx);
            (wtx, small)
        },
        |(wtx, of_block)| {
            total.add(&wtx);
            partials.put(wtx);
            small.add(&of_block);
        },
    )?;
    sums.products.resize(k * d, 0.0);
    update::unpack(total, &mut sums.products);
    scale(&mut sums.products, root, |b, r| b * r);
    update::mirror(&mut small.wtw, k);
    (sums.small, sums.cross, sums.norm, sums.violation) = (small.wtw, small.cross, small.norm, small.violation);
    Ok(())
}

/// Returns Wᵀ W of n × k values.
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

/// What a visit holds fixed.
struct Fixed<'a, R> {
    q: &'a Panel<R>,
    /// None is subtracted.
    offset: Vec<R>,
    gram: Vec<R>,
    /// √ω, [`padded`], where what the loss of the starting factors needs is to be summed.
    energy: Option<Vec<R>>,
    p: Parameters,
}

/// The sums over rows that do not grow with d.
struct SmallSums {
    wtw: Vec<f64>,
    cross: f64,
    norm: f64,
    violation: f64,
}

impl SmallSums {
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

/// Updates the W of a block and returns its share of the sums.
fn visit<T: Pixel>(
    x: Rows<'_, T>,
    range: Range<usize>,
    w: &mut [T::Real],
    fixed: &Fixed<'_, T::Real>,
    wtx: &mut Panel<T::Real>,
) -> SmallSums {
    let k = wtx.k();
    let tile = tile_rows::<T>(x.d());
    let mut scratch = Vec::new();
    let mut c = vec![T::Real::ZERO; tile * k];
    let mut small = SmallSums::new(k);
    for rows in tiles(range.len(), tile) {
        let x = x.part(range.start + rows.start..range.start + rows.end, &mut scratch);
        let w = &mut w[rows.start * k..rows.end * k];
        let c = &mut c[..w.len()];
        project(x, &fixed.offset, fixed.q, c);
        if let Some(root) = &fixed.energy {
            small.cross += c.iter().zip(&*w).map(|(c, w)| c.f64() * w.f64()).sum::<f64>();
            small.norm += dispatch(Energy { x, root });
        }
        dispatch(Update { w, c, fixed, small: &mut small });
        accumulate(x, &fixed.offset, w, wtx);
    }
    small
}

/// New W of a tile from `c = X_b Hᵀ`.
struct Update<'a, R: Real> {
    w: &'a mut [R],
    c: &'a [R],
    fixed: &'a Fixed<'a, R>,
    small: &'a mut SmallSums,
}

impl<R: Real> WithSimd for Update<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { w, c, fixed, small } = self;
        let k = fixed.q.k();
        let [mut lanes, mut above, mut workspace] = [(); 3].map(|()| vec![[R::ZERO; LANES]; k]);
        let l1 = R::of(fixed.p.on_w.l1);
        let mut gram = vec![[R::ZERO; LANES]; k * (k + 1) / 2];
        for (w, c) in w.chunks_mut(LANES * k).zip(c.chunks(LANES * k)) {
            update::to_lanes(w, k, &mut lanes);
            update::to_lanes(c, k, &mut above);
            small.violation += update::sweeps(&mut lanes, 0, &above, &mut workspace, &fixed.gram, l1, fixed.p).f64();
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

/// Adds the products of some rows' components lane by lane: Wᵀ W, the lower half.
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
    x: Part<'a, T>,
    root: &'a [T::Real],
}

impl<T: Pixel> WithSimd for Energy<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let lanes = T::Real::lanes::<S>();
        let mut filled = Filled::default();
        let mut total = 0.0;
        for i in 0..self.x.n() {
            Collect { row: self.x.row(i), filled: &mut filled }.with_simd(simd);
            let mut sums = [T::Real::splat(simd, T::Real::ZERO); 2];
            for (&at, x) in filled.at.iter().zip(filled.values.chunks_exact(lanes)) {
                let (at, sum) = (at as usize, &mut sums[at as usize % 2]);
                let x = T::Real::mul(simd, T::Real::load(simd, x), T::Real::load(simd, &self.root[at * lanes..]));
                *sum = T::Real::mul_add(simd, x, x, *sum);
            }
            total += T::Real::sum(simd, T::Real::add(simd, sums[0], sums[1])).f64();
        }
        total
    }
}

/// Returns √ω of d features, or ones, then zeros to the end of the line.
fn padded<R: Real>(root: Option<&[f64]>, d: usize) -> Vec<R> {
    let mut padded = Vec::from_iter((0..d).map(|j| R::of(root.map_or(1.0, |root| root[j]))));
    padded.resize(d.next_multiple_of(R::LINE), R::ZERO);
    padded
}

/// Returns `x` or, where it is shorter than `line`, a copy of it there.
#[inline(always)]
fn whole<'a, T: Pixel>(x: &'a [T], line: &'a mut [T]) -> &'a [T] {
    if x.len() == line.len() {
        return x;
    }
    line[..x.len()].copy_from_slice(x);
    line
}

/// Sums ½ Σ ω (X − W H)² directly.
pub fn loss<T: Pixel>(
    x: Rows<'_, T>,
    w: &[T::Real],
    h: &[f64],
    weights: Option<&[f64]>,
    control: &Control,
) -> Result<f64> {
    if let Some(sparse) = x.as_sparse() {
        return loss_of_sparse(sparse, w, h, weights, control);
    }
    let (n, d, k) = (x.n(), x.d(), h.len() / x.d());
    let h = update::pack(false, h, k, None);
    let root = padded(root_of(weights).as_deref(), d);
    let mut total = 0.0;
    control.expect(n as u64);
    pass(
        n,
        block_rows(&x),
        control,
        &mut [] as &mut [u8],
        |range, _| {
            let mut scratch = Vec::new();
            let w = &w[range.start * k..range.end * k];
            dispatch(SquaredResidual { x: x.block(range, &mut scratch), w, h: &h, root: &root })
        },
        |part| total += part,
    )?;
    Ok(0.5 * total)
}

/// Sums it as ½ Σ ω (X − 2 W H) X + ½⟨Wᵀ W, H ω Hᵀ⟩, in f64: of X only what is stored, and to the rounding of ‖X‖².
fn loss_of_sparse<T: Pixel>(
    x: Sparse<'_, T>,
    w: &[T::Real],
    h: &[f64],
    weights: Option<&[f64]>,
    control: &Control,
) -> Result<f64> {
    let (n, d, k) = (x.n(), x.d(), h.len() / x.d());
    let spectra = Vec::from_iter((0..d * k).map(|at| h[at % k * d + at / k])); // d × k
    let mut rooted = h.to_vec();
    scale(&mut rooted, root_of(weights).as_deref(), |h, r| h * r);
    let model = wtw(w, k).iter().zip(&update::gram(&rooted, k)).map(|(a, b)| a * b).sum::<f64>();
    let mut total = 0.0;
    let block = |range: Range<usize>, _: &mut [u8]| {
        let mut sum = 0.0;
        for (i, w) in range.clone().zip(w[range.start * k..range.end * k].chunks_exact(k)) {
            let (features, values) = x.row(i);
            for (&j, x) in features.iter().zip(values) {
                let spectra = spectra[j as usize * k..].iter();
                let model: f64 = w.iter().zip(spectra).map(|(w, h)| w.f64() * h).sum();
                let (x, weight) = (x.real().f64(), weights.map_or(1.0, |weights| weights[j as usize]));
                sum += weight * x * (x - 2.0 * model);
            }
        }
        sum
    };
    control.expect(n as u64);
    pass(n, block_rows(&Rows::sparse(x)), control, &mut [], block, |part| total += part)?;
    Ok(0.5 * (total + model).max(0.0))
}

struct SquaredResidual<'a, T: Pixel> {
    x: Block<'a, T>,
    w: &'a [T::Real],
    h: &'a Panel<T::Real>,
    root: &'a [T::Real],
}

impl<T: Pixel> WithSimd for SquaredResidual<'_, T> {
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
                    let residual = T::Real::sub(simd, T::load(simd, &x[part..]), model);
                    let residual = T::Real::mul(simd, residual, T::Real::load(simd, &self.root[index * size + part..]));
                    sum = T::Real::mul_add(simd, residual, residual, sum);
                }
            }
            total += T::Real::sum(simd, sum).f64();
        }
        total
    }
}
