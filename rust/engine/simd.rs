//! One CPU probe, one way to compile a body for AVX-512, AVX2, NEON and the baseline, and lanes of every pixel type.
//!
//! A hot loop is a [`WithSimd`] whose `with_simd` is generic over the instruction set; [`dispatch`] runs the widest one
//! that this machine has, chosen when the program runs. The body and all it calls, closures too, must be `#[inline(always)]`, or it is
//! compiled for the baseline.

pub use pulp::{Simd, WithSimd};

/// Run `body` compiled for the widest instruction set of this machine.
#[inline]
pub fn dispatch<B: WithSimd>(body: B) -> B::Output {
    pulp::Arch::new().dispatch(body)
}

/// The widest instruction set of this machine, by name.
#[cfg(feature = "python")]
pub fn name() -> &'static str {
    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::F32_LANES
        }
    }
    match (dispatch(Lanes), cfg!(target_arch = "aarch64")) {
        (16, _) => "AVX-512",
        (8, _) => "AVX2",
        (4, true) => "NEON",
        _ => "baseline",
    }
}

mod sealed {
    /// What only this crate can implement: its kernels read memory as the sizes of these types say.
    pub trait Sealed {}
}

/// A number in which a kernel computes: `f32` for pixels, `f64` for data that are `f64` already. No other type can be one.
pub trait Real:
    sealed::Sealed
    + Copy
    + Default
    + PartialOrd
    + Send
    + Sync
    + std::fmt::Debug
    + std::iter::Sum
    + crate::engine::room::Zero
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
    + std::ops::AddAssign
    + 'static
{
    /// A register of an instruction set.
    type Lanes<S: Simd>: Copy;
    /// Values in 128 bytes, two of the widest registers: the unit of every packed layout, whatever the instruction set.
    const LINE: usize;
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// Nearest value.
    fn of(x: f64) -> Self;
    /// The same value.
    fn f64(self) -> f64;
    /// Values in a register.
    fn lanes<S: Simd>() -> usize {
        size_of::<Self::Lanes<S>>() / size_of::<Self>()
    }
    /// `x` in every lane.
    fn splat<S: Simd>(simd: S, x: Self) -> Self::Lanes<S>;
    /// The first lanes of `from`; panics when it is too short.
    fn load<S: Simd>(simd: S, from: &[Self]) -> Self::Lanes<S>;
    /// To the first lanes of `to`; panics when it is too short.
    fn store<S: Simd>(simd: S, to: &mut [Self], x: Self::Lanes<S>);
    /// `a + b`.
    fn add<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>) -> Self::Lanes<S>;
    /// `a - b`.
    fn sub<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>) -> Self::Lanes<S>;
    /// `a * b`.
    fn mul<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>) -> Self::Lanes<S>;
    /// `a / b`.
    fn div<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>) -> Self::Lanes<S>;
    /// The smaller of each two.
    fn min<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>) -> Self::Lanes<S>;
    /// The larger of each two.
    fn max<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>) -> Self::Lanes<S>;
    /// `√a`.
    fn sqrt<S: Simd>(simd: S, a: Self::Lanes<S>) -> Self::Lanes<S>;
    /// `x` where `a < b`, else `y`.
    fn where_less<S: Simd>(
        simd: S,
        a: Self::Lanes<S>,
        b: Self::Lanes<S>,
        x: Self::Lanes<S>,
        y: Self::Lanes<S>,
    ) -> Self::Lanes<S>;
    /// `a * b + c`, fused where the machine can.
    fn mul_add<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>, c: Self::Lanes<S>) -> Self::Lanes<S>;
    /// Sum over the lanes.
    fn sum<S: Simd>(simd: S, x: Self::Lanes<S>) -> Self;
    /// The transpose of a square of four rows.
    fn transpose(x: [[Self; 4]; 4]) -> [[Self; 4]; 4];
}

macro_rules! real {
    ($t:ident, $lanes:ident, $line:expr, $splat:ident, $add:ident, $sub:ident, $mul:ident, $div:ident, $min:ident, $max:ident, $sqrt:ident, $less:ident, $select:ident, $mul_add:ident, $sum:ident, $transpose:ident) => {
        impl sealed::Sealed for $t {}
        impl Real for $t {
            type Lanes<S: Simd> = S::$lanes;
            const LINE: usize = $line;
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            #[inline(always)]
            fn of(x: f64) -> Self {
                x as Self
            }
            #[inline(always)]
            fn f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn splat<S: Simd>(simd: S, x: Self) -> S::$lanes {
                simd.$splat(x)
            }
            #[inline(always)]
            fn load<S: Simd>(_: S, from: &[Self]) -> S::$lanes {
                let from = &from[..Self::lanes::<S>()];
                // SAFETY: the slice holds a whole register of plain numbers.
                unsafe { from.as_ptr().cast::<S::$lanes>().read_unaligned() }
            }
            #[inline(always)]
            fn store<S: Simd>(_: S, to: &mut [Self], x: S::$lanes) {
                let to = &mut to[..Self::lanes::<S>()];
                // SAFETY: the slice holds a whole register of plain numbers.
                unsafe { to.as_mut_ptr().cast::<S::$lanes>().write_unaligned(x) }
            }
            #[inline(always)]
            fn add<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes) -> S::$lanes {
                simd.$add(a, b)
            }
            #[inline(always)]
            fn sub<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes) -> S::$lanes {
                simd.$sub(a, b)
            }
            #[inline(always)]
            fn mul<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes) -> S::$lanes {
                simd.$mul(a, b)
            }
            #[inline(always)]
            fn div<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes) -> S::$lanes {
                simd.$div(a, b)
            }
            #[inline(always)]
            fn min<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes) -> S::$lanes {
                simd.$min(a, b)
            }
            #[inline(always)]
            fn max<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes) -> S::$lanes {
                simd.$max(a, b)
            }
            #[inline(always)]
            fn sqrt<S: Simd>(simd: S, a: S::$lanes) -> S::$lanes {
                simd.$sqrt(a)
            }
            #[inline(always)]
            fn where_less<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes, x: S::$lanes, y: S::$lanes) -> S::$lanes {
                simd.$select(simd.$less(a, b), x, y)
            }
            #[inline(always)]
            fn mul_add<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes, c: S::$lanes) -> S::$lanes {
                simd.$mul_add(a, b, c)
            }
            #[inline(always)]
            fn sum<S: Simd>(simd: S, x: S::$lanes) -> Self {
                simd.$sum(x)
            }
            #[inline(always)]
            fn transpose(x: [[Self; 4]; 4]) -> [[Self; 4]; 4] {
                $transpose(x)
            }
        }
    };
}

real!(
    f32,
    f32s,
    32,
    splat_f32s,
    add_f32s,
    sub_f32s,
    mul_f32s,
    div_f32s,
    min_f32s,
    max_f32s,
    sqrt_f32s,
    less_than_f32s,
    select_f32s,
    mul_add_e_f32s,
    reduce_sum_f32s,
    transpose_in_registers
);
real!(
    f64,
    f64s,
    16,
    splat_f64s,
    add_f64s,
    sub_f64s,
    mul_f64s,
    div_f64s,
    min_f64s,
    max_f64s,
    sqrt_f64s,
    less_than_f64s,
    select_f64s,
    mul_add_e_f64s,
    reduce_sum_f64s,
    transpose_one_by_one
);

#[inline(always)]
fn transpose_one_by_one<R: Real>(x: [[R; 4]; 4]) -> [[R; 4]; 4] {
    std::array::from_fn(|j| std::array::from_fn(|i| x[i][j]))
}

/// Eight shuffles; the compiler makes sixteen stores of the plain version.
#[inline(always)]
fn transpose_in_registers(x: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
    #[cfg(target_arch = "x86_64")]
    {
        use pulp::cast;
        use std::arch::x86_64::{__m128, _mm_movehl_ps, _mm_movelh_ps, _mm_unpackhi_ps, _mm_unpacklo_ps};
        let [a, b, c, d]: [__m128; 4] = cast(x);
        // SAFETY: every x86-64 machine has SSE.
        #[allow(unused_unsafe)]
        let y = unsafe {
            let (ab, cd) = (_mm_unpacklo_ps(a, b), _mm_unpacklo_ps(c, d));
            let (ab_high, cd_high) = (_mm_unpackhi_ps(a, b), _mm_unpackhi_ps(c, d));
            [
                _mm_movelh_ps(ab, cd),
                _mm_movehl_ps(cd, ab),
                _mm_movelh_ps(ab_high, cd_high),
                _mm_movehl_ps(cd_high, ab_high),
            ]
        };
        cast(y)
    }
    #[cfg(not(target_arch = "x86_64"))]
    transpose_one_by_one(x)
}

/// Ask for the cache lines of `values` that lie `ahead` bytes further on in memory; only a hint, and only on x86-64.
#[inline(always)]
pub fn prefetch<T>(values: &[T], ahead: usize) {
    #[cfg(target_arch = "x86_64")]
    for byte in (0..size_of_val(values)).step_by(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing that the program can see, wherever it points.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(values.as_ptr().cast::<i8>().wrapping_add(byte + ahead)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, ahead);
}

/// Copy to where nothing is read soon: on x86-64 past the caches, which then need not read first what is overwritten.
#[inline]
pub fn stream(from: &[f32], to: &mut [f32]) {
    assert_eq!(from.len(), to.len());
    #[cfg(all(target_arch = "x86_64", not(miri)))] // which knows no such store
    {
        use std::arch::x86_64::{_mm_loadu_ps, _mm_sfence, _mm_stream_ps};
        let head = to.as_ptr().align_offset(64).min(to.len());
        let (before, to) = to.split_at_mut(head);
        let (start, from) = from.split_at(head);
        before.copy_from_slice(start);
        let (from, rest) = from.as_chunks::<4>();
        let (to, end) = to.as_chunks_mut::<4>();
        for (from, to) in from.iter().zip(to) {
            // SAFETY: every x86-64 machine has SSE; four values each, the latter aligned.
            unsafe { _mm_stream_ps(to.as_mut_ptr(), _mm_loadu_ps(from.as_ptr())) };
        }
        end.copy_from_slice(rest);
        // SAFETY: as above; whoever is told that this is done sees the values.
        unsafe { _mm_sfence() };
    }
    #[cfg(any(not(target_arch = "x86_64"), miri))]
    to.copy_from_slice(from);
}

/// A type in which a detector writes, and the type in which kernels compute on it: u8, u16, u32, i16, i32, f32 or f64.
///
/// ```compile_fail
/// #[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
/// struct Mine(f32);
/// impl emcore::Pixel for Mine {} // no other type can be one
/// ```
pub trait Pixel: sealed::Sealed + Copy + Default + PartialOrd + Send + Sync + std::fmt::Debug + 'static {
    /// `f32`, or `f64` for `f64`.
    type Real: Real;
    /// The value in the type in which kernels compute.
    fn real(self) -> Self::Real;
    /// The first lanes of `from`, widened in registers; panics when it is too short.
    fn load<S: Simd>(simd: S, from: &[Self]) -> <Self::Real as Real>::Lanes<S>;
}

macro_rules! pixel {
    ($($t:ident => $real:ident by $load:ident),*) => {$(
        impl Pixel for $t {
            type Real = $real;
            #[inline(always)]
            fn real(self) -> $real {
                self as $real
            }
            #[inline(always)]
            fn load<S: Simd>(simd: S, from: &[Self]) -> <$real as Real>::Lanes<S> {
                $load::<S, Self>(simd, from)
            }
        }
    )*};
}

macro_rules! seal {
    ($($t:ident),*) => {$(impl sealed::Sealed for $t {})*};
}

seal!(u8, u16, u32, i16, i32);
pixel!(u8 => f32 by widen, u16 => f32 by widen, u32 => f32 by widen, i16 => f32 by widen, i32 => f32 by widen);
pixel!(f32 => f32 by plain, f64 => f64 by plain);

#[inline(always)]
fn plain<S: Simd, T: Real>(simd: S, from: &[T]) -> T::Lanes<S> {
    T::load(simd, from)
}

/// The compiler makes one widening load of this; for floats it would keep the detour through memory.
#[inline(always)]
fn widen<S: Simd, T: Pixel>(simd: S, from: &[T]) -> <T::Real as Real>::Lanes<S> {
    let lanes = T::Real::lanes::<S>();
    let mut wide = [T::Real::ZERO; 16];
    for (wide, x) in wide[..lanes].iter_mut().zip(&from[..lanes]) {
        *wide = x.real();
    }
    T::Real::load(simd, &wide)
}

/// Run `body` on every instruction set of this machine, the baseline included.
#[cfg(test)]
pub(crate) fn on_each<B: WithSimd + Clone>(body: B) -> Vec<B::Output> {
    let mut outputs = vec![Simd::vectorize(pulp::Scalar::new(), body.clone())];
    #[cfg(target_arch = "x86_64")]
    {
        outputs.extend(pulp::x86::V3::try_new().map(|simd| Simd::vectorize(simd, body.clone())));
        outputs.extend(pulp::x86::V4::try_new().map(|simd| Simd::vectorize(simd, body.clone())));
    }
    #[cfg(target_arch = "aarch64")]
    outputs.extend(pulp::aarch64::Neon::try_new().map(|simd| Simd::vectorize(simd, body)));
    outputs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "the store past the caches is an instruction that Miri does not know")]
    fn what_is_streamed_arrives_wherever_it_starts_and_ends() {
        let from = Vec::from_iter((0..90).map(|i| i as f32 + 1.0));
        for (start, end) in (0..40).flat_map(|start| (start..90).map(move |end| (start, end))) {
            let mut to = vec![0.0; 90];
            stream(&from[start..end], &mut to[start..end]);
            assert_eq!(to[start..end], from[start..end]);
            assert!(to[..start].iter().chain(&to[end..]).all(|&x| x == 0.0));
        }
    }

    #[derive(Clone)]
    struct Widen<T>(Vec<T>);
    impl<T: Pixel> WithSimd for Widen<T> {
        type Output = Vec<f64>;
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Vec<f64> {
            let mut out = vec![T::Real::ZERO; T::Real::lanes::<S>()];
            T::Real::store(simd, &mut out, T::load(simd, &self.0));
            out.into_iter().map(Real::f64).collect()
        }
    }

    #[test]
    fn every_pixel_type_is_widened_exactly() {
        fn check<T: Pixel>(values: [T; 4]) {
            let values = Vec::from_iter(values.into_iter().cycle().take(16));
            let expected = Vec::from_iter(values.iter().map(|x| x.real().f64()));
            for wide in on_each(Widen(values.clone())) {
                assert_eq!(wide, expected[..wide.len()]);
            }
        }
        check([0, 1, 200, u8::MAX]);
        check([0, 1, 40_000, u16::MAX]);
        check([0, 1, 1 << 31, 1 << 23]);
        check([i16::MIN, -1, 0, i16::MAX]);
        check([i32::MIN, -1, 0, 1 << 23]);
        check([-1.5f32, 0.0, 1e30, 3.25]);
        check([-1.5f64, 0.0, 1e300, 0.1]);
    }
}
