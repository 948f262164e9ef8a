//! How fast is each kernel by itself? `cargo bench`, or `cargo bench -- products` for some.
//!
//! These figures follow one machine over time; what emcore is worth against other packages is measured in `benches/peers`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use emcore::methods::cmeans::{Covariances, Options, Start, cmeans};
use emcore::methods::kmeans::{self, Metric, kmeans};
use emcore::methods::moments::moments;
use emcore::methods::nmf::{Loss, Parameters, Penalty, Solver, nmf};
use emcore::methods::pca::{self, pca};
use emcore::methods::products::{x_q, xt_x_q};
use emcore::methods::spectra::{Reduce, Scale, Settings, Taper, power_spectra};
use emcore::methods::volume::{self, Quantity, volume_spectra};
use emcore::{Control, Pixel, Rows, value_range};
use ndarray::{Array2, ArrayView2, ArrayView3};
use std::hint::black_box;

/// Numbers without a pattern that a kernel could profit from, the same in every run (xorshift).
fn noise<T>(count: usize, of: impl Fn(u32) -> T) -> Vec<T> {
    let mut state = 0x9E37_79B9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    (0..count).map(|_| of(next())).collect()
}

/// The shape of the spectra of 7000 windows of 128 × 128 pixels.
const SPECTRA: (usize, usize) = (7000, 8320);

fn one_type<T: Pixel>(criterion: &mut Criterion, name: &str, of: impl Fn(u32) -> T) {
    let ((n, d), control) = (SPECTRA, Control::new());
    let x = noise(n * d, of);
    let rows = || Rows::from_slice(&x, n, d);
    let mut group = criterion.benchmark_group(format!("products/{name}"));
    group.sample_size(10).throughput(Throughput::Bytes(size_of_val(x.as_slice()) as u64));
    group.bench_function("value_range", |bench| bench.iter(|| black_box(value_range(rows(), &control))));
    for k in [4, 8, 20] {
        let q = Array2::ones((d, k));
        group.bench_function(format!("x_q/{k}"), |bench| {
            bench.iter(|| black_box(x_q(rows(), None, q.view(), &control)));
        });
        group.bench_function(format!("xt_x_q/{k}"), |bench| {
            bench.iter(|| black_box(xt_x_q(rows(), None, None, q.view(), &control)));
        });
    }
}

fn products(criterion: &mut Criterion) {
    one_type(criterion, "f32", |x| x as f32);
    one_type(criterion, "u16", |x| x as u16);
    one_type(criterion, "u8", |x| x as u8);
}

/// Ten iterations from a flat start, and the loss.
fn factors<T: Pixel>(criterion: &mut Criterion, name: &str, of: impl Fn(u32) -> T, one: T::Real) {
    let ((n, d), control) = (SPECTRA, Control::new());
    let x = noise(n * d, of);
    let mut group = criterion.benchmark_group(format!("nmf/{name}"));
    group.sample_size(10).throughput(Throughput::Bytes(10 * size_of_val(x.as_slice()) as u64));
    for (method, solver, loss) in [
        ("hals", Solver::Hals, Loss::Frobenius),
        ("mu", Solver::Mu, Loss::Frobenius),
        ("kl", Solver::Mu, Loss::KullbackLeibler),
    ] {
        let none = Penalty::default();
        let parameters =
            Parameters { solver, loss, inner_sweeps: 1, max_iter: 10, tol: 0.0, on_w: none, on_h: none, fixed: 0 };
        for k in [4, 8] {
            group.bench_function(format!("{method}/{k}"), |bench| {
                bench.iter(|| {
                    let mut h = Vec::from_iter((0..k * d).map(|i| (i % 97) as f64));
                    nmf(Rows::from_slice(&x, n, d), &mut vec![one; n * k], &mut h, None, parameters, &control)
                });
            });
        }
    }
}

fn nmfs(criterion: &mut Criterion) {
    factors(criterion, "f32", |x| (x >> 24) as f32, 1.0);
    factors(criterion, "u8", |x| x as u8, 1.0);
}

fn principal_components(criterion: &mut Criterion) {
    let control = Control::new();
    let mut group = criterion.benchmark_group("pca");
    group.sample_size(10);
    let shapes =
        [("exact/20000x256", 20_000, 256), ("exact/512x8320", 512, 8320), ("randomized/7000x8320", 7000, 8320)];
    for (name, n, d) in shapes {
        let x = noise(n * d, |x| (x >> 24) as u8);
        let rows = Rows::from_slice(&x, n, d);
        let solver = pca::Solver::Auto;
        let options = pca::Options { components: 20, center: true, weights: None, solver, seed: 0 };
        group.bench_function(name, |bench| bench.iter(|| black_box(pca(rows, &options, &control))));
        group.bench_function(format!("moments/{n}x{d}"), |bench| bench.iter(|| black_box(moments(rows, &control))));
    }
}

/// Ten iterations from the first rows: many features, few features with few and with many clusters.
fn k_means(criterion: &mut Criterion) {
    let control = Control::new();
    let mut group = criterion.benchmark_group("kmeans");
    group.sample_size(10);
    let parameters = kmeans::Parameters { max_iter: 10, tol: 0.0, metric: Metric::Euclidean };
    for (n, d, k) in [(7000, 8320, 6), (262_144, 10, 6), (262_144, 10, 100)] {
        let x = noise(n * d, |x| (x >> 24) as f32);
        let start = Vec::from_iter(x[..k * d].iter().map(|&x| f64::from(x)));
        let rows = Rows::from_slice(&x, n, d);
        group.bench_function(format!("{n}x{d}/{k}"), |bench| {
            bench.iter(|| black_box(kmeans(rows, &start, None, &parameters, &control)));
        });
    }
}

fn spectra(criterion: &mut Criterion) {
    let (height, width) = (1370, 1662);
    let pixels = noise(height * width, |x| (x >> 8) as f32);
    let image = ArrayView2::from_shape((height, width), &pixels).expect("height * width values");
    let mut group = criterion.benchmark_group("spectra");
    group.sample_size(10);
    for (step, scale) in [(16, Scale::Power), (64, Scale::Power), (32, Scale::Log)] {
        let settings = Settings {
            window: 128,
            step,
            taper: Taper::Hann,
            subtract_mean: true,
            scale,
            reduce: Reduce::None,
            unit: 1.0,
        };
        let shape = settings.shape((height, width)).expect("the window fits");
        let mut output = vec![0.0; shape.iter().product()];
        group.throughput(Throughput::Bytes(size_of_val(output.as_slice()) as u64));
        group.bench_function(format!("{scale:?}/step {step}"), |bench| {
            bench.iter(|| power_spectra(image, &settings, &Control::new(), &mut output));
        });
    }
}

fn volumes(criterion: &mut Criterion) {
    let side = 200;
    let voxels = noise(side * side * side, |x| (x >> 24) as u8);
    let volume = ArrayView3::from_shape((side, side, side), &voxels).expect("side³ values");
    let mut group = criterion.benchmark_group("volume");
    group.sample_size(10);
    for (window, step) in [(50, 25), (32, 16), (64, 64)] {
        for reduce in [volume::Reduce::Radial, volume::Reduce::Harmonics(8)] {
            let settings = volume::Settings {
                window,
                step,
                quantity: Quantity::Power,
                reduce,
                periodic: true,
                phase: None,
                least: 0.0,
                offset: 128.0,
                unit: 1.0,
            };
            let shape = settings.shape(volume.dim()).expect("the window fits");
            let windows = shape[..3].iter().product();
            let (mut output, mut fractions) = (vec![0.0; shape.iter().product()], vec![0.0; windows]);
            group.throughput(Throughput::Elements(windows as u64));
            group.bench_function(format!("{reduce:?}/{window} at {step}"), |bench| {
                bench.iter(|| volume_spectra(volume, &settings, &Control::new(), &mut output, &mut fractions));
            });
        }
    }
}

/// Ten iterations from the first rows as centres.
fn fuzzy(criterion: &mut Criterion) {
    let (n, d, k, control) = (262_144, 10, 6, Control::new());
    let x = noise(n * d, |x| (x >> 8) as f32);
    let start = Vec::from_iter(x[..k * d].iter().copied().map(f64::from));
    let mut group = criterion.benchmark_group("cmeans");
    group.sample_size(10).throughput(Throughput::Elements(10 * n as u64));
    for (name, m, kessel) in [("spheres", 2.0, false), ("spheres/m 1.5", 1.5, false), ("ellipsoids", 2.0, true)] {
        let covariances = kessel.then(|| Covariances { rho: vec![1.0; k], gamma: 0.0, beta: 1e15 });
        let options = Options { m, max_iter: 10, tol: 0.0, covariances };
        let rows = Rows::from_slice(&x, n, d);
        group.bench_function(name, |bench| {
            bench.iter(|| cmeans(rows, k, Start::Centers(&start), None, &options, &control));
        });
    }
}

criterion_group!(kernels, products, nmfs, principal_components, k_means, fuzzy, spectra, volumes);
criterion_main!(kernels);
