use super::*;
use ndarray::Array2;

/// The definition in f64, but for what is rounded.
fn check<T: Pixel, O: Made<T::Real>>(of: impl Fn(usize) -> T, to: impl Fn(O) -> f64) {
    let [low, high] = [-1e30, 1e30].map(|x| to(O::of(T::Real::of(x))));
    for (n, d, k) in [(7, 5, 1), (13, 70, 3), (21, 611, 9)] {
        let data = Vec::from_iter((0..n * d).map(|i| of(i * i % 113)));
        let x = |i: usize, j: usize| data[i * d + j].real().f64();
        let into = Array2::from_shape_fn((d, k), |(j, c)| ((j * 7 + c * 3) % 11) as f64 / d as f64 - 0.3 / d as f64);
        let back = Array2::from_shape_fn((k, d), |(c, j)| ((j * 5 + c * 13) % 9) as f64 / 3.0 - 1.0);
        let (measured, features) = (Vec::from_iter((0..n).map(|i| i != 4)), Vec::from_iter((0..d).map(|j| j != 3)));
        for (clip, all) in [(true, false), (false, true)] {
            let features = (!all).then_some(&features[..]);
            let (toward, varying) = (2.0, 0.5);
            let model = Model { into: into.view(), back: back.view(), toward, varying, features, clip };
            let mut values = vec![O::default(); n * d];
            let rows = Rows::from_slice(&data, n, d);
            let sums = at_low_rank(rows, &model, &measured, &mut values, &Control::new()).unwrap();
            let mut expected = Sums { residuals: (vec![0.0; d], vec![0.0; n]), ..Sums::default() };
            (expected.values, expected.squares) = (expected.residuals.clone(), expected.residuals.clone());
            for i in 0..n {
                let score = |c: usize| (0..d).map(|j| x(i, j) * into[(j, c)]).sum::<f64>();
                let score = |c: usize| if c == 0 { toward + varying * (score(0) - toward) } else { score(c) };
                let scores = Vec::from_iter((0..k).map(score));
                for j in 0..d {
                    let mut m = (0..k).map(|c| scores[c] * back[(c, j)]).sum::<f64>();
                    if measured[i] && m < 0.0 {
                        expected.negative.0 += 1;
                        expected.negative.1 += m;
                    }
                    m = if clip { m.max(0.0) } else { m };
                    m = if all || j != 3 { m } else { x(i, j) };
                    let near = 1e-3 * (1.0 + m.abs()) + if O::WHOLE { 0.5 } else { 0.0 };
                    let value = if measured[i] { m.clamp(low, high) } else { x(i, j) };
                    assert!(
                        (to(values[i * d + j]) - value).abs() <= near,
                        "{i} {j}: {} {value}",
                        to(values[i * d + j])
                    );
                    if measured[i] {
                        let terms = [(x(i, j) - m).powi(2), m, x(i, j).powi(2)];
                        let sums = [&mut expected.residuals, &mut expected.values, &mut expected.squares];
                        for (sum, term) in sums.into_iter().zip(terms) {
                            sum.0[j] += term;
                            sum.1[i] += term;
                        }
                    }
                }
            }
            let close = |a: &[f64], b: &[f64]| {
                let top = b.iter().fold(1.0, |top: f64, x| top.max(x.abs()));
                assert!(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-4 * top), "{a:?} {b:?}");
            };
            for (a, b) in [
                (&sums.residuals, &expected.residuals),
                (&sums.values, &expected.values),
                (&sums.squares, &expected.squares),
            ] {
                close(&a.0, &b.0);
                close(&a.1, &b.1);
            }
            assert!(sums.negative.0.abs_diff(expected.negative.0) <= 2);
            close(&[sums.negative.1], &[expected.negative.1]);
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "it takes minutes")]
fn rows_are_the_definition_for_every_pair_of_types() {
    check::<u8, u8>(|x| x as u8, f64::from);
    check::<u8, f32>(|x| x as u8, f64::from);
    check::<u16, u16>(|x| 9 * x as u16, f64::from);
    check::<u16, f32>(|x| 9 * x as u16, f64::from);
    check::<i16, i16>(|x| x as i16 - 50, f64::from);
    check::<i16, f32>(|x| x as i16 - 50, f64::from);
    check::<u32, f32>(|x| x as u32, f64::from);
    check::<i32, f32>(|x| x as i32 - 50, f64::from);
    check::<f32, f32>(|x| x as f32 / 7.0, f64::from);
    check::<f64, f32>(|x| x as f64 / 7.0, f64::from);
    check::<f64, f64>(|x| x as f64 / 7.0, f64::from);
    check::<f64, u32>(|x| x as f64, f64::from);
    check::<f64, i32>(|x| x as f64 - 50.0, f64::from);
}

#[test]
fn whole_numbers_stay_within_their_type() {
    assert_eq!([-3.0, 0.5, 1.5, 254.6, 1e9, f32::NAN].map(<u8 as Made<f32>>::of), [0, 0, 2, 255, 255, 0]);
    assert_eq!([-4e4, -0.6, 4e4].map(<i16 as Made<f32>>::of), [i16::MIN, -1, i16::MAX]);
    assert_eq!([-1.0, 4e9, 5e9].map(<u32 as Made<f64>>::of), [0, 4_000_000_000, u32::MAX]);
    assert_eq!([-3e9, 3e9].map(<i32 as Made<f64>>::of), [i32::MIN, i32::MAX]);
}
