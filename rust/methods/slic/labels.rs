//! Labels of a scan, line by line, negative where a position has none.

use crate::{Error, Result};

/// Refuses labels that are not one below k for each position of a scan.
pub fn check_labels(labels: &[i32], shape: (usize, usize), k: usize) -> Result<()> {
    let n = labels.len();
    if shape.0.checked_mul(shape.1) != Some(n) {
        let message = format!("{n} labels; one for each position of a scan of {} x {} is needed", shape.0, shape.1);
        return Err(Error::invalid("labels", message));
    }
    match labels.iter().find(|&&label| usize::try_from(label).is_ok_and(|label| label >= k)) {
        Some(label) => Err(Error::invalid("labels", format!("label {label} is too large; there are {k}"))),
        None => Ok(()),
    }
}

/// The positions above, left, right and below, where there are any.
pub fn neighbors(place: usize, shape: (usize, usize)) -> impl Iterator<Item = usize> {
    let (y, x) = (place / shape.1, place % shape.1);
    let above = (y > 0).then(|| place - shape.1);
    let left = (x > 0).then(|| place - 1);
    let right = (x + 1 < shape.1).then_some(place + 1);
    let below = (y + 1 < shape.0).then_some(place + shape.1);
    [above, left, right, below].into_iter().flatten()
}
