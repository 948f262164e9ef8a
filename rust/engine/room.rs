//! Memory whose size follows from the data or from a number of the caller's: where there is none, that is an error.
//!
//! Rust ends the process when it gets no memory. So what is large is allocated here: [`zeros`] and [`filled`] return
//! [`Error::NoRoom`], and so does [`check`] for what others will allocate in small pieces. What cannot return an error, as a block of a
//! pass, has [`zeros_or_unwind`], which ends the pass, or the call from Python, with it.

use crate::{Error, Result};
use std::alloc::{Layout, alloc_zeroed};
use std::any::Any;
use std::panic::resume_unwind;

/// Types of which the value zero is bytes of zeros.
///
/// # Safety
///
/// A value of zeroed bytes must be valid.
pub unsafe trait Zero: Copy {}

macro_rules! zero {
    ($($type:ty)*) => {
        $(
            // SAFETY: zeroed bytes are the number zero.
            unsafe impl Zero for $type {}
        )*
    };
}
zero!(u8 u32 u64 usize i32 i64 f32 f64);

// SAFETY: every element is valid of zeroed bytes.
unsafe impl<V: Zero, const N: usize> Zero for [V; N] {}

/// `len` zeros, whose pages the system hands out when they are first written to.
pub fn zeros<V: Zero>(len: usize, what: &'static str) -> Result<Vec<V>> {
    const { assert!(size_of::<V>() > 0) };
    let none = || no_room::<V>(len, what);
    let layout = Layout::array::<V>(len).map_err(|_| none())?;
    if len == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the layout has a size above zero.
    let start = unsafe { alloc_zeroed(layout) }.cast::<V>();
    if start.is_null() {
        return Err(none());
    }
    // SAFETY: allocated by the global allocator for an array of `len`, all of which are valid as zeroed bytes.
    Ok(unsafe { Vec::from_raw_parts(start, len, len) })
}

/// Room for `more` values.
pub fn reserve<V>(values: &mut Vec<V>, more: usize, what: &'static str) -> Result<()> {
    values.try_reserve_exact(more).map_err(|_| no_room::<V>(more, what))
}

/// `len` times the same value.
pub fn filled<V: Clone>(len: usize, value: V, what: &'static str) -> Result<Vec<V>> {
    let mut values = Vec::new();
    reserve(&mut values, len, what)?;
    values.resize(len, value);
    Ok(values)
}

/// All that an iterator gives, which says how much that is.
#[cfg(feature = "python")]
pub fn collected<V>(values: impl ExactSizeIterator<Item = V>, what: &'static str) -> Result<Vec<V>> {
    let mut all = Vec::new();
    reserve(&mut all, values.len(), what)?;
    all.extend(values);
    Ok(all)
}

/// A copy.
pub fn copied<V: Copy>(values: &[V], what: &'static str) -> Result<Vec<V>> {
    let mut copy = Vec::new();
    reserve(&mut copy, values.len(), what)?;
    copy.extend_from_slice(values);
    Ok(copy)
}

/// [`zeros`] in what cannot return an error: unwinds with it.
pub fn zeros_or_unwind<V: Zero>(len: usize, what: &'static str) -> Vec<V> {
    zeros(len, what).unwrap_or_else(unwind)
}

/// Ends what cannot return an error: the pass whose block it is, or the call from Python.
pub fn unwind<V>(error: Error) -> V {
    resume_unwind(Box::new(error))
}

/// The error that [`unwind`] was given.
pub fn error_of(panic: &(dyn Any + Send)) -> Option<&Error> {
    panic.downcast_ref()
}

/// Refuses what takes more memory than the system gives, before it is begun: arrays of `values` values of the type together.
pub fn check<V>(values: u128, what: &'static str) -> Result<()> {
    let bytes = values.saturating_mul(size_of::<V>() as u128);
    let there = usize::try_from(bytes).is_ok_and(|bytes| Vec::<u8>::new().try_reserve_exact(bytes).is_ok());
    if there { Ok(()) } else { Err(Error::NoRoom { what, bytes }) }
}

/// The number of values of an array of these sides; an error where no address has so many bits.
pub fn product<V>(sides: &[usize], what: &'static str) -> Result<usize> {
    let many = sides.iter().fold(1u128, |product, &side| product.saturating_mul(side as u128));
    match usize::try_from(many) {
        Ok(count) if Layout::array::<V>(count).is_ok() => Ok(count),
        _ => Err(Error::NoRoom { what, bytes: many.saturating_mul(size_of::<V>() as u128) }),
    }
}

fn no_room<V>(len: usize, what: &'static str) -> Error {
    Error::NoRoom { what, bytes: len as u128 * size_of::<V>() as u128 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_zeros_and_may_be_none() {
        assert_eq!(zeros::<f64>(1000, "values").unwrap(), vec![0.0; 1000]);
        assert_eq!(zeros::<[u64; 2]>(3, "pairs").unwrap(), [[0; 2]; 3]);
        assert!(zeros::<u8>(0, "nothing").unwrap().is_empty());
        let mut grown = zeros::<u32>(2, "values").unwrap();
        grown.extend([1; 100]);
        assert_eq!(grown[..3], [0, 0, 1]);
        assert_eq!(filled(3, -1.0, "values").unwrap(), [-1.0; 3]);
        assert_eq!(copied(&[1, 2], "values").unwrap(), [1, 2]);
    }

    #[test]
    fn what_no_machine_has_room_for_is_an_error_that_says_how_much_it_takes() {
        let expected = Error::NoRoom { what: "values", bytes: 1 << 63 };
        assert_eq!(zeros::<f64>(1 << 60, "values"), Err(expected.clone()));
        assert_eq!(filled(1 << 60, 1.0, "values"), Err(expected.clone()));
        assert_eq!(check::<f64>(1 << 60, "values"), Err(expected.clone()));
        assert_eq!(product::<f64>(&[1 << 30, 1 << 30], "values"), Err(expected.clone()));
        assert_eq!(product::<f64>(&[1 << 63, 1 << 63, 2], "values").map_err(drop), Err(()));
        assert_eq!(product::<f64>(&[3, 4], "values"), Ok(12));
        assert_eq!(
            expected.to_string(),
            "values take 8589934592 GiB, more than the system gives; give fewer rows or ask for less"
        );
    }
}
