use super::*;
use crate::Control;
use crate::engine::pool;
use crate::engine::simd::{Pixel, Simd, WithSimd, on_each};
use crate::methods::symmetry::image::Level;
use crate::methods::symmetry::polar::{Rings, Scores, Strided};
use ndarray::{Array2, ArrayView2, s};

fn image(height: usize, width: usize) -> Array2<u8> {
    let noise = |y: usize, x: usize| (y * 7919 + x * 104_729 + y * x * 31) % 97;
    Array2::from_shape_fn((height, width), |(y, x)| (60 + (y % 7) * 9 + (x % 5) * 13 + noise(y, x) / 4) as u8)
}

fn pearson(a: &[f64], b: &[f64]) -> f64 {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (ma, mb) = (mean(a), mean(b));
    let sum = |f: &dyn Fn(f64, f64) -> f64| a.iter().zip(b).map(|(x, y)| f(x - ma, y - mb)).sum::<f64>();
    let norms = sum(&|x, _| x * x) * sum(&|_, y| y * y);
    if norms > 0.0 { sum(&|x, y| x * y) / norms.sqrt() } else { 0.0 }
}

fn direct_translations(image: ArrayView2<'_, f64>, settings: &Translations) -> Vec<f64> {
    let [ny, nx, _] = settings.shape(image.dim()).unwrap();
    let (reach, patch) = (settings.reach() as isize, settings.patch as isize);
    let at = |y: isize, x: isize| {
        let offsets = (-patch..=patch).flat_map(|v| (-patch..=patch).map(move |u| (v, u)));
        Vec::from_iter(offsets.map(|(v, u)| image[((y + v) as usize, (x + u) as usize)]))
    };
    let mut scores = Vec::new();
    for (iy, ix) in (0..ny).flat_map(|iy| (0..nx).map(move |ix| (iy, ix))) {
        let (y, x) = (reach + (iy * settings.stride) as isize, reach + (ix * settings.stride) as isize);
        let mut own: Vec<f64> = settings.shifts.iter().map(|&(m, n)| pearson(&at(y, x), &at(y + m, x + n))).collect();
        if let Some(k) = settings.largest {
            own.sort_by(|a, b| b.total_cmp(a));
            own.truncate(k);
        }
        scores.extend(own);
    }
    scores
}

fn scores_of<T: Pixel + Into<f64>>(image: ArrayView2<'_, T>, settings: &Translations) -> Vec<f32> {
    let mut out = vec![f32::NAN; settings.shape(image.dim()).unwrap().iter().product()];
    translations(image, settings, &Control::new(), &mut out).unwrap();
    out
}

fn turns_of<T: Pixel + Into<f64>>(image: ArrayView2<'_, T>, settings: &Turns) -> Vec<f32> {
    let mut out = vec![f32::NAN; settings.shape(image.dim()).unwrap().iter().product()];
    turns(image, settings, &Control::new(), &mut out).unwrap();
    out
}

fn check<T: Pixel + Into<f64>>(image: ArrayView2<'_, T>, settings: &Translations) {
    let expected = direct_translations(image.mapv(Into::into).view(), settings);
    for (a, b) in scores_of(image, settings).iter().zip(expected) {
        assert!((f64::from(*a) - b).abs() < 1e-5, "{settings:?}: {a} and {b}");
    }
}

#[test]
fn shifted_patches_correlate_as_a_direct_loop_says() {
    let image = image(41, 38);
    let shifts = vec![(0, 0), (0, 5), (7, 0), (-7, 3), (4, -6), (-1, -1)];
    for (patch, stride, largest) in [(1, 1, None), (4, 3, None), (2, 9, Some(3)), (5, 5, Some(6))] {
        let settings = Translations { patch, stride, shifts: shifts.clone(), largest };
        check(image.view(), &settings);
        check(image.mapv(u16::from).view(), &settings);
        check(image.mapv(|x| u32::from(x) + 4_000_000_000).view(), &settings);
        check(image.mapv(|x| i16::from(x) - 100).view(), &settings);
        check(image.mapv(|x| i32::from(x) - 2_000_000_000).view(), &settings);
        check(image.mapv(|x| f32::from(x) * 1e-12 + 1e-10).view(), &settings);
        check(image.mapv(|x| f64::from(x) * 1e6 - 1e10).view(), &settings);
        check(image.t(), &settings);
        check(image.slice(s![..;-1, 1..]), &settings);
    }
}

#[test]
fn a_lattice_falls_onto_itself_at_its_own_vectors() {
    let lattice =
        Array2::from_shape_fn((60, 60), |(y, x)| u16::from(y % 6 < 2) * 7 + u16::from((x + y / 6) % 5 < 2) * 3);
    let shifts = vec![(0, 5), (6, -1), (12, -2), (0, 10)];
    let settings = Translations { patch: 7, stride: 4, shifts, largest: None };
    assert!(scores_of(lattice.view(), &settings).iter().all(|score| (score - 1.0).abs() < 1e-6));
}

#[test]
fn constant_patches_score_nothing() {
    let mut flat = Array2::from_elem((40, 90), 1e-3f32 + 0.1);
    flat.slice_mut(s![.., 60..]).assign(&image(40, 30).mapv(|x| f32::from(x) * 1e4));
    let settings = Translations { patch: 3, stride: 2, shifts: vec![(0, 3), (2, -1)], largest: None };
    let [_, nx, _] = settings.shape(flat.dim()).unwrap();
    for (i, pair) in scores_of(flat.view(), &settings).chunks(2).enumerate() {
        let right = 6 + (i % nx) * 2 + 6;
        assert!(right >= 60 || pair == [0.0, 0.0], "{i}: {pair:?}");
    }
    let settings = Turns { patch: 6, stride: 2, folds: vec![2, 3], planes: 2 };
    let [_, nx, _] = settings.shape(flat.dim()).unwrap();
    for (i, scores) in turns_of(flat.view(), &settings).chunks(4).enumerate() {
        assert!(6 + (i % nx) * 2 + 6 >= 60 || scores.iter().all(|&score| score == 0.0), "{i}: {scores:?}");
    }
}

/// Of which `n` is the number of angles that the patch takes: a multiple of all orders and of the number of planes.
fn direct_turns(image: ArrayView2<'_, f64>, settings: &Turns, n: usize) -> Vec<f64> {
    let Turns { patch, stride, ref folds, planes } = *settings;
    let [ny, nx, _] = settings.shape(image.dim()).unwrap();
    let mut scores = Vec::new();
    for (iy, ix) in (0..ny).flat_map(|iy| (0..nx).map(move |ix| (iy, ix))) {
        let sample = |radius: usize, j: usize| {
            let angle = 2.0 * std::f64::consts::PI * (j % n) as f64 / n as f64;
            let y = (patch + iy * stride) as f64 - radius as f64 * angle.sin();
            let x = (patch + ix * stride) as f64 + radius as f64 * angle.cos();
            let (top, left) = ((y + 1e-9).floor(), (x + 1e-9).floor());
            let (v, u) = ((y - top).max(0.0), (x - left).max(0.0));
            let pixel =
                |y: f64, x: f64| image[((y as usize).min(image.nrows() - 1), (x as usize).min(image.ncols() - 1))];
            (1.0 - v) * ((1.0 - u) * pixel(top, left) + u * pixel(top, left + 1.0))
                + v * ((1.0 - u) * pixel(top + 1.0, left) + u * pixel(top + 1.0, left + 1.0))
        };
        let rings = Vec::from_iter((1..=patch).map(|radius| Vec::from_iter((0..n).map(|j| sample(radius, j)))));
        let weighted = |f: &dyn Fn(usize, usize) -> f64| {
            let pairs = (1..=patch).flat_map(|radius| (0..n).map(move |j| (radius, j)));
            pairs.map(|(radius, j)| radius as f64 * f(radius - 1, j)).sum::<f64>()
        };
        let mean = weighted(&|i, j| rings[i][j]) / weighted(&|_, _| 1.0);
        let about = |i: usize, j: usize| rings[i][j % n] - mean;
        let total = weighted(&|i, j| about(i, j) * about(i, j));
        let turned = |step: usize| weighted(&|i, j| about(i, j) * about(i, j + step)) / total;
        // θ becomes 2α - θ, of which α is plane * π / planes.
        let mirrored = |twice: usize| weighted(&|i, j| about(i, j) * about(i, n + twice - j)) / total;
        scores
            .extend(folds.iter().map(|fold| (1..*fold).map(|j| turned(j * n / fold)).sum::<f64>() / (fold - 1) as f64));
        scores.extend((0..planes).map(|plane| mirrored(n * plane / planes)));
    }
    scores
}

#[derive(Clone)]
struct OnEach<'a, T>(ArrayView2<'a, T>, &'a Turns);
impl<T: Pixel + Into<f64>> WithSimd for OnEach<'_, T> {
    type Output = Vec<f32>;
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
        let Self(image, settings) = self;
        let ([ny, nx, values], control) = (settings.shape(image.dim()).unwrap(), Control::new());
        let strided = Strided::new(image, settings, Level::of(image, &control).unwrap(), 0..ny, nx);
        let (rings, mut out) = (Rings::new(settings, nx), vec![f32::NAN; ny * nx * values]);
        Scores { rings: &rings, image: &strided, nx, control: &control, out: &mut out }.with_simd(simd);
        out
    }
}

#[test]
fn turned_patches_correlate_as_a_direct_loop_over_rings_says() {
    fn check<T: Pixel + Into<f64>>(image: ArrayView2<'_, T>, settings: &Turns, n: usize) {
        let expected = direct_turns(image.mapv(Into::into).view(), settings, n);
        for scores in on_each(OnEach(image, settings)).into_iter().chain([turns_of(image, settings)]) {
            assert_eq!(scores.len(), expected.len());
            for (a, b) in scores.iter().zip(&expected) {
                assert!((f64::from(*a) - b).abs() < 1e-5, "{settings:?}: {a} and {b}");
            }
        }
    }
    let image = image(33, 40);
    // Rows of 4, 3, 36, 1, 26, 4 and 1 points: more and fewer than a register has lanes; patches that overlap and that do not.
    for (patch, stride, n) in
        [(9, 7, 60), (14, 6, 96), (2, 1, 24), (13, 20, 96), (7, 1, 48), (2, 11, 24), (3, usize::MAX, 24)]
    {
        let settings = Turns { patch, stride, folds: vec![2, 3, 4, 6], planes: 12 };
        check(image.view(), &settings, n);
    }
    let settings = Turns { patch: 8, stride: 11, folds: vec![2, 3], planes: 5 };
    check(image.mapv(u16::from).view(), &settings, 60);
    check(image.mapv(|x| u32::from(x) + 4_000_000_000).view(), &settings, 60);
    check(image.mapv(|x| i16::from(x) - 100).view(), &settings, 60);
    check(image.mapv(|x| i32::from(x) - 2_000_000_000).view(), &settings, 60);
    check(image.mapv(|x| f32::from(x) * 1e-12 + 1e-10).view(), &settings, 60);
    check(image.mapv(|x| f64::from(x) * 1e6 - 1e10).view(), &settings, 60);
    check(image.t(), &settings, 60);
    check(image.slice(s![..;-1, 1..]), &settings, 60);
}

#[test]
fn a_quarter_turn_of_the_image_moves_scores_and_changes_none() {
    // Points lie at 8, 11, .. 35 of 0 .. 43, which a turn puts onto each other.
    let (side, n) = (44, 10);
    let image = image(side, side);
    let turned = Array2::from_shape_fn((side, side), |(y, x)| image[(x, side - 1 - y)]);
    let square = (-2..=2).flat_map(|m| (-2..=2).map(move |n| (3 * m, 3 * n))).collect();
    let shifts = Translations { patch: 2, stride: 3, shifts: square, largest: Some(10) };
    let axes = Turns { patch: 8, stride: 3, folds: vec![2, 3, 4, 6], planes: 0 };
    for (k, a, b) in [
        (10, scores_of(image.view(), &shifts), scores_of(turned.view(), &shifts)),
        (4, turns_of(image.view(), &axes), turns_of(turned.view(), &axes)),
    ] {
        assert_eq!(a.len(), n * n * k);
        for (iy, ix) in (0..n).flat_map(|iy| (0..n).map(move |ix| (iy, ix))) {
            let (here, there) = (&a[(iy * n + ix) * k..][..k], &b[((n - 1 - ix) * n + iy) * k..][..k]);
            assert!(here.iter().zip(there).all(|(p, q)| (p - q).abs() < 1e-5), "{here:?} and {there:?}");
        }
    }
}

#[test]
fn hexagons_have_axes_of_two_three_and_six() {
    let period = 9.0;
    let wave = |y: f64, x: f64| {
        let along = |angle: f64| (2.0 * std::f64::consts::PI * (x * angle.cos() + y * angle.sin()) / period).cos();
        along(0.0) + along(std::f64::consts::PI / 3.0) + along(2.0 * std::f64::consts::PI / 3.0)
    };
    let image = Array2::from_shape_fn((41, 41), |(y, x)| (wave(y as f64 - 20.0, x as f64 - 20.0) * 40.0 + 120.0) as u8);
    let settings = Turns { patch: 20, stride: 1, folds: vec![2, 3, 4, 6], planes: 6 };
    let scores = turns_of(image.view(), &settings);
    assert!(scores[0] > 0.97 && scores[1] > 0.97 && scores[3] > 0.97 && scores[2] < 0.7, "{scores:?}");
    assert!(scores[4..].iter().all(|&mirror| mirror > 0.97), "{scores:?}");
}

#[test]
fn gain_and_offset_change_no_score() {
    let image = image(40, 40);
    let other = image.mapv(|x| 0.37 * f64::from(x) + 4096.0);
    let settings = Translations { patch: 4, stride: 3, shifts: vec![(0, 4), (5, 5)], largest: None };
    let near = |a: Vec<f32>, b: Vec<f32>| a.iter().zip(&b).all(|(p, q)| (p - q).abs() < 1e-5);
    assert!(near(scores_of(image.view(), &settings), scores_of(other.view(), &settings)));
    let settings = Turns { patch: 7, stride: 3, folds: vec![2, 5], planes: 7 };
    for other in [other, image.mapv(|x| f64::from(x) * 1e120), image.mapv(|x| f64::from(x) * 1e-140)] {
        assert!(near(turns_of(image.view(), &settings), turns_of(other.view(), &settings)));
    }
}

#[test]
fn scores_are_the_same_on_any_number_of_threads() {
    let image = image(130, 60);
    let shifts = Translations { patch: 4, stride: 2, shifts: vec![(0, 4), (5, 5), (-3, 2)], largest: None };
    let settings = Turns { patch: 5, stride: 3, folds: vec![2, 3], planes: 3 };
    let all = Vec::from_iter((1..=3).map(|threads| {
        let former = pool::set_num_threads_here(threads);
        let both = (scores_of(image.view(), &shifts), turns_of(image.view(), &settings));
        pool::set_num_threads_here(former);
        both
    }));
    assert!(all[0] == all[1] && all[1] == all[2]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let shifts = Translations { patch: 4, stride: 1, shifts: vec![(0, 4)], largest: None };
    for (settings, word) in [
        (Translations { patch: 0, ..shifts.clone() }, "patch"),
        (Translations { stride: 0, ..shifts.clone() }, "stride"),
        (Translations { shifts: vec![], ..shifts.clone() }, "shifts"),
        (Translations { patch: 20, ..shifts.clone() }, "patch"),
        (Translations { patch: usize::MAX, ..shifts.clone() }, "patch"),
        (Translations { shifts: vec![(isize::MIN, 0)], ..shifts.clone() }, "patch"),
        (Translations { largest: Some(2), ..shifts.clone() }, "largest"),
    ] {
        let message = settings.shape((30, 40)).unwrap_err().to_string();
        assert!(message.contains(word), "{settings:?}: {message}");
    }
    let turns = Turns { patch: 4, stride: 1, folds: vec![2], planes: 0 };
    for (settings, word) in [
        (Turns { patch: 1, ..turns.clone() }, "patch"),
        (Turns { patch: usize::MAX, ..turns.clone() }, "patch"),
        (Turns { folds: vec![1], ..turns.clone() }, "folds"),
        (Turns { folds: vec![], ..turns.clone() }, "folds"),
        (Turns { planes: 1000, ..turns.clone() }, "planes"),
        (Turns { patch: 16, ..turns.clone() }, "patch"),
    ] {
        let message = settings.shape((30, 40)).unwrap_err().to_string();
        assert!(message.contains(word), "{settings:?}: {message}");
    }
}
