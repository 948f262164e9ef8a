use super::*;
use ndarray::Array3;
use rustfft::num_complex::Complex;
use std::f64::consts::PI;

/// The transform of real values, from the definition, axis by axis.
fn transform(values: &Array3<f64>) -> Array3<Complex<f64>> {
    let n = values.dim().0;
    let mut z = values.mapv(|v| Complex::new(v, 0.0));
    for axis in 0..3 {
        for mut lane in z.lanes_mut(Axis(axis)) {
            let from = lane.to_vec();
            for (k, out) in lane.iter_mut().enumerate() {
                let term = |(i, v): (usize, &Complex<f64>)| {
                    v * Complex::from_polar(1.0, -2.0 * PI * (i * k % n) as f64 / n as f64)
                };
                *out = from.iter().enumerate().map(term).sum();
            }
        }
    }
    z
}

/// The modulus of a window's transform, by way of the picture of jumps at all faces.
fn naive(window: &Array3<f64>, periodic: bool) -> Array3<f64> {
    let n = window.dim().0;
    let mut f = transform(window);
    if periodic {
        let mut jumps = Array3::zeros(window.dim());
        for axis in 0..3 {
            let (first, last) = (window.index_axis(Axis(axis), 0), window.index_axis(Axis(axis), n - 1));
            let jump = &last - &first;
            let mut face = jumps.index_axis_mut(Axis(axis), 0);
            face += &jump;
            let mut face = jumps.index_axis_mut(Axis(axis), n - 1);
            face -= &jump;
        }
        let curvature = |k: usize| 2.0 * (2.0 * PI * k as f64 / n as f64).cos() - 2.0;
        for ((at, f), jump) in f.indexed_iter_mut().zip(transform(&jumps)) {
            *f -= jump / (curvature(at.0) + curvature(at.1) + curvature(at.2));
        }
    }
    f[[0, 0, 0]] = Complex::new(0.0, 0.0);
    f.mapv(Complex::norm)
}

fn noise(shape: (usize, usize, usize)) -> Array3<f64> {
    let mut state = 1u32;
    Array3::from_shape_simple_fn(shape, || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 24)
    })
}

fn settings(window: usize, step: usize, reduce: Reduce) -> Settings {
    Settings {
        window,
        step,
        quantity: Quantity::Modulus,
        reduce,
        periodic: true,
        phase: None,
        least: 0.0,
        offset: 100.0,
        unit: 1.0,
    }
}

fn spectra<T: Pixel + Into<f64>>(volume: ArrayView3<'_, T>, settings: &Settings) -> (Vec<f32>, Vec<f32>) {
    let shape = settings.shape(volume.dim()).unwrap();
    let windows = shape[..3].iter().product::<usize>();
    let (mut output, mut fractions) = (vec![-1.0; shape.iter().product()], vec![-1.0; windows]);
    volume_spectra(volume, settings, &Control::new(), &mut output, &mut fractions).unwrap();
    (output, fractions)
}

fn check<T: Pixel + Into<f64>>(volume: &Array3<T>, settings: &Settings) {
    let (n, step) = (settings.window, settings.step);
    let [nz, ny, nx, ..] = settings.shape(volume.dim()).unwrap();
    let (output, _) = spectra(volume.view(), settings);
    let mut found = output.chunks(n * n * (n / 2 + 1));
    for (iz, iy, ix) in (0..nz).flat_map(|z| (0..ny).flat_map(move |y| (0..nx).map(move |x| (z, y, x)))) {
        let start = [iz * step, iy * step, ix * step];
        let window = volume.slice(s![start[0]..start[0] + n, start[1]..start[1] + n, start[2]..start[2] + n]);
        let expected = naive(&window.mapv(Into::into), settings.periodic);
        let largest = expected.iter().copied().fold(0.0, f64::max);
        let expected = expected.slice(s![.., .., ..=n / 2]);
        for ((at, a), b) in expected.indexed_iter().zip(found.next().unwrap()) {
            let b = match settings.quantity {
                Quantity::Modulus => f64::from(*b),
                Quantity::Power => f64::from(*b).sqrt(),
            };
            assert!((a - b).abs() < 2e-6 * largest, "window {n}, {start:?} at {at:?}: {b}, not {a}");
        }
    }
}

#[test]
fn every_window_has_the_spectrum_of_its_periodic_part() {
    for (n, step, shape) in [
        (8, 4, (20, 17, 16)),
        (9, 2, (13, 9, 12)),
        (10, 10, (20, 31, 10)),
        (11, 5, (16, 22, 11)),
        (16, 3, (22, 16, 19)),
        (12, 20, (32, 12, 45)),
    ] {
        check(&noise(shape), &settings(n, step, Reduce::None));
        check(
            &noise(shape),
            &Settings { periodic: false, quantity: Quantity::Power, ..settings(n, step, Reduce::None) },
        );
    }
    check(&noise((22, 23, 22)).mapv(|v| v as f32), &settings(22, 1, Reduce::None));
}

#[test]
fn every_type_and_layout_of_voxels_gives_the_same() {
    let volume = noise((12, 16, 12));
    let settings = settings(8, 4, Reduce::Radial);
    let (expected, _) = spectra(volume.view(), &settings);
    let same = |(found, _): (Vec<f32>, Vec<f32>)| assert_eq!(found, expected);
    same(spectra(volume.mapv(|v| v as u8).view(), &settings));
    same(spectra(volume.mapv(|v| v as u16).view(), &settings));
    same(spectra(volume.mapv(|v| v as i32).view(), &settings));
    same(spectra(volume.mapv(|v| v as f32).view(), &settings));
    let turned = volume.view().reversed_axes().as_standard_layout().into_owned();
    same(spectra(turned.view().reversed_axes(), &settings));
}

#[test]
fn a_bright_background_and_a_unit_change_nothing() {
    let volume = noise((16, 16, 16));
    let plain = settings(16, 1, Reduce::Radial);
    let (expected, _) = spectra(volume.view(), &plain);
    for (add, times) in [(1e6, 1.0), (0.0, 2f64.powi(-100)), (0.0, 2f64.powi(100))] {
        let other = Settings { offset: 100.0 * times + add, unit: times.recip(), ..plain.clone() };
        let (found, _) = spectra(volume.mapv(|v| v * times + add).view(), &other);
        for (a, b) in expected.iter().zip(found) {
            assert!((f64::from(*a) - f64::from(b) / times).abs() <= 1e-5 * f64::from(*a), "{add} {times}: {a} and {b}");
        }
    }
}

#[test]
fn windows_of_too_little_phase_are_zeros() {
    let mut volume = noise((24, 16, 16)).mapv(|v| v as u8);
    volume.slice_mut(s![12.., .., ..]).fill(255);
    let settings = Settings { phase: Some((0.0, 254.0)), least: 0.4, ..settings(8, 4, Reduce::Crop(2)) };
    let (output, fractions) = spectra(volume.view(), &settings);
    let (all, _) = spectra(volume.view(), &Settings { phase: None, ..settings });
    for (i, (window, fraction)) in output.chunks(75).zip(&fractions).enumerate() {
        let start = i / 9 * 4;
        let within = volume.slice(s![start..start + 8, i / 3 % 3 * 4..i / 3 % 3 * 4 + 8, i % 3 * 4..i % 3 * 4 + 8]);
        let expected = within.iter().filter(|&&v| v < 255).count() as f32 / 512.0;
        assert_eq!(*fraction, expected);
        if expected < 0.4 {
            assert!(window.iter().all(|&v| v == 0.0));
        } else {
            assert_eq!(window, &all[i * 75..][..75]);
        }
    }
    assert!(fractions.contains(&0.0) && fractions.iter().any(|&f| f > 0.9));
}

#[test]
fn what_is_kept_is_of_the_whole_spectrum() {
    for n in [8usize, 9, 12] {
        let volume = noise((n, n, n));
        let expected = naive(&volume, true);
        let m = n as isize;
        let at = |z: isize, y: isize, x: isize| expected[[z, y, x].map(|k| k.rem_euclid(m) as usize)];
        let close = |a: f64, b: f32| assert!((a - f64::from(b)).abs() < 1e-5 * (1.0 + a), "window {n}: {b}, not {a}");

        let (cropped, _) = spectra(volume.view(), &settings(n, 1, Reduce::Crop(2)));
        let signed = |i: usize| if i > 2 { i as isize - 5 } else { i as isize };
        for (i, value) in cropped.iter().enumerate() {
            close(at(signed(i / 15), signed(i / 3 % 5), (i % 3) as isize), *value);
        }

        let (radial, _) = spectra(volume.view(), &settings(n, 1, Reduce::Radial));
        let mut shells = vec![(0.0, 0.0); n];
        for (i, value) in expected.indexed_iter() {
            let signed = |k: usize| (if 2 * k > n { k as isize - m } else { k as isize }) as f64;
            let radius = (signed(i.0).powi(2) + signed(i.1).powi(2) + signed(i.2).powi(2)).sqrt().round() as usize;
            if radius < n {
                shells[radius] = (shells[radius].0 + value, shells[radius].1 + 1.0);
            }
        }
        radial.iter().zip(shells).for_each(|(value, (sum, count))| close(sum / count, *value));
    }
    let volume = noise((12, 12, 12));
    let (binned, _) = spectra(volume.view(), &settings(12, 1, Reduce::Bin(3)));
    let expected = naive(&volume, true);
    for (i, value) in binned.iter().enumerate() {
        let (z, y, x) = (i / 12 * 3, i / 3 % 4 * 3, i % 3 * 3);
        let near = |k: usize| [k + 11, k, k + 1].map(|k| k % 12);
        let all = near(z).into_iter().flat_map(|z| near(y).into_iter().flat_map(move |y| near(x).map(|x| [z, y, x])));
        let mean = all.map(|k| expected[k]).sum::<f64>() / 27.0;
        assert!((mean - f64::from(*value)).abs() < 1e-5 * mean);
    }
}

#[test]
fn degrees_do_not_change_when_the_volume_turns_by_a_quarter() {
    let n = 16;
    let volume =
        noise((n, n, n)) + Array3::from_shape_fn((n, n, n), |(_, _, x)| 50.0 * (x as f64 * 2.0 * PI / 5.0).cos());
    let (degrees, _) = spectra(volume.view(), &settings(n, 1, Reduce::Degrees(6)));
    let (coefficients, _) = spectra(volume.view(), &settings(n, 1, Reduce::Harmonics(6)));
    for axes in [[0, 2, 1], [2, 1, 0], [1, 2, 0]] {
        let turned = volume.view().permuted_axes(axes);
        let (again, _) = spectra(turned.slice(s![..;-1, .., ..]), &settings(n, 1, Reduce::Degrees(6)));
        for (a, b) in degrees.iter().zip(again) {
            assert!((a - b).abs() < 1e-3 * degrees.iter().copied().fold(0.0, f32::max), "{a} and {b}");
        }
    }
    for (shell, (a, c)) in coefficients.chunks(28).zip(degrees.chunks(4)).enumerate() {
        for (l, degree) in [0..1, 1..6, 6..15, 15..28].into_iter().zip(c) {
            let sum: f32 = a[l].iter().map(|a| a * a).sum();
            assert!((sum - degree).abs() <= 1e-4 * degree, "shell {}", shell + 1);
        }
    }
    // Shell 1 has nine independent frequencies, which are too few for degree 2, and shell 2 has 31.
    assert!(degrees[0] > 0.0 && degrees[1] == 0.0 && degrees[6] > 0.0 && degrees[7] == 0.0);
}

#[test]
fn a_fit_finds_what_a_shell_is_made_of() {
    // The modulus of a wave along z alone: one frequency and its mirror image, whose degrees go as (2l + 1).
    let n = 24;
    let volume = Array3::from_shape_fn((n, n, n), |(z, _, _)| (2.0 * PI * 8.0 * z as f64 / n as f64).cos());
    let plain = Settings { offset: 0.0, ..settings(n, 1, Reduce::Harmonics(4)) };
    let (coefficients, _) = spectra(volume.view(), &plain);
    let shell = &coefficients[7 * 15..8 * 15];
    let zonal = [shell[0], shell[3], shell[10]];
    for (i, value) in shell.iter().enumerate() {
        assert!(matches!(i, 0 | 3 | 10 | 6 | 14) || value.abs() < 2e-3 * shell[0].abs(), "{i}: {value}");
    }
    for (l, a) in [0.0f32, 2.0, 4.0].into_iter().zip(zonal) {
        let ratio = a / zonal[0] / (2.0 * l + 1.0).sqrt();
        assert!((ratio - 1.0).abs() < 0.25, "degree {l}: {ratio}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri refuses the queues of rayon")]
fn any_number_of_threads_and_any_cut_along_z_give_the_same_bits() {
    let volume = noise((60, 20, 20)).mapv(|v| v as u8);
    let settings = settings(10, 5, Reduce::Harmonics(4));
    let (expected, _) = spectra(volume.view(), &settings);
    for threads in 1..=3 {
        let former = crate::set_num_threads_here(threads);
        assert_eq!(spectra(volume.view(), &settings).0, expected);
        crate::set_num_threads_here(former);
    }
    let part = spectra(volume.slice(s![15..40, .., ..]), &settings).0;
    let window = expected.len() / 11;
    assert_eq!(part, expected[3 * window..7 * window]);
}

#[test]
fn settings_that_do_not_fit_are_refused() {
    let shape = (20, 30, 40);
    for (settings, name) in [
        (settings(7, 1, Reduce::None), "window"),
        (settings(21, 1, Reduce::None), "window"),
        (settings(300, 1, Reduce::None), "window"),
        (settings(8, 0, Reduce::None), "step"),
        (settings(8, 1, Reduce::Crop(4)), "reduce"),
        (settings(8, 1, Reduce::Bin(3)), "reduce"),
        (settings(8, 1, Reduce::Degrees(3)), "reduce"),
        (settings(8, 1, Reduce::Harmonics(60)), "reduce"),
        (Settings { unit: 0.0, ..settings(8, 1, Reduce::None) }, "unit"),
        (Settings { offset: f64::NAN, ..settings(8, 1, Reduce::None) }, "offset"),
        (Settings { phase: Some((2.0, 1.0)), ..settings(8, 1, Reduce::None) }, "phase"),
    ] {
        let error = settings.shape(shape).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}
