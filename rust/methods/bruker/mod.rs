//! Bruker's packed spectra of a map: what counts does each pixel have in each channel?
//!
//! The data of a map begin with its height and width (`u32`). From byte 0x1A0 on, each line has the number of its pixels and
//! then these: a head of 22 bytes (column, channels of the map, channels of the pixel, a constant, how it is packed, a size,
//! the number of pulses, the size that counts) and the packed spectrum, little-endian throughout. Packed as 0 it is a
//! channel of 16 bits for each pulse; as 1, a channel of 12 bits; else runs of channels: the number of nibbles of a count, how
//! many channels, the smallest of their counts, the rest of each. After runs come more pulses, of 16 bits.
//!
//! Heads are read one after another, for each says where the next one is; then lines are unpacked on all threads. Nothing
//! in a file is believed: what would lie outside of it, of the map or of a type is an error that says where.

use crate::engine::pass::pass;
use crate::{Control, Error, Result};

/// Where lines begin.
const FIRST: usize = 0x1A0;
/// Bytes of the head of a pixel.
const HEAD: usize = 22;
/// Lines that are unpacked together.
const LINES: usize = 4;

/// A type of counts.
pub trait Count: Copy + Default + Send + Sync + TryFrom<u32> {}
impl Count for u8 {}
impl Count for u16 {}
impl Count for u32 {}

/// Fills `out`, (height, width, channels), zero where there is no pixel, from the data of a map. Channels beyond are left
/// out.
///
/// ```
/// use emcore::Control;
/// use emcore::methods::bruker::unpack;
///
/// let mut data = vec![0u8; 0x1A0];
/// data[0] = 1; // line
/// data[4] = 2; // columns
/// data.extend([1, 0, 0, 0]); // pixel, in column 1, of 4 channels, with 2 pulses in channel 3
/// data.extend([1, 0, 0, 0, 4, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 4, 0, 0, 0]);
/// data.extend([3, 0, 3, 0]);
/// let mut out = [0u8; 8];
/// unpack(&data, (1, 2, 4), &mut out, &Control::new())?;
/// assert_eq!(out, [0, 0, 0, 0, 0, 0, 0, 2]);
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn unpack<T: Count>(
    data: &[u8],
    (height, width, channels): (usize, usize, usize),
    out: &mut [T],
    control: &Control,
) -> Result<()> {
    let mut reader = Reader { data, at: 0 };
    let shape = (reader.u32()? as usize, reader.u32()? as usize);
    if shape != (height, width) {
        let message = format!("a map of {} x {} pixels, where {height} x {width} are expected", shape.0, shape.1);
        return Err(Error::invalid("data", message));
    }
    let size = height.checked_mul(width).and_then(|pixels| pixels.checked_mul(channels));
    if size != Some(out.len()) || out.is_empty() {
        let message = format!("{} values; {height} x {width} x {channels}, at least one, are needed", out.len());
        return Err(Error::invalid("out", message));
    }
    reader.at = FIRST;
    let mut starts = Vec::new();
    for line in 0..height {
        if line % 64 == 0 {
            control.check()?;
        }
        starts.push(reader.at);
        let pixels = reader.u32()?;
        if pixels as usize > width {
            // Each would be unpacked, however little there is of it.
            return Err(Error::invalid("data", format!("line {line}: {pixels} pixels in {width} columns")));
        }
        for _ in 0..pixels {
            Pixel::read(&mut reader)?;
        }
    }
    out.fill(T::default());
    control.expect(height as u64);
    let mut first = None;
    pass(
        height,
        LINES,
        control,
        out,
        |lines, out| {
            let mut counts = Vec::new();
            for (y, out) in lines.zip(out.chunks_mut(width * channels)) {
                let mut reader = Reader { data, at: starts[y] };
                if let Err(error) = line(&mut reader, out, channels, &mut counts) {
                    return Some(match error {
                        Error::Invalid { argument, message } => {
                            Error::invalid(argument, format!("line {y}: {message}"))
                        }
                        other => other,
                    });
                }
            }
            None
        },
        |error| first = first.take().or(error),
    )?;
    first.map_or(Ok(()), Err)
}

/// Unpacks one line.
fn line<T: Count>(reader: &mut Reader<'_>, out: &mut [T], channels: usize, counts: &mut Vec<u32>) -> Result<()> {
    for _ in 0..reader.u32()? {
        let pixel = Pixel::read(reader)?;
        let columns = out.len() / channels;
        let Some(out) = out.chunks_mut(channels).nth(pixel.column) else {
            return Err(Error::invalid("data", format!("a pixel in column {} of {columns}", pixel.column)));
        };
        counts.clear();
        counts.resize(pixel.channels, 0);
        pixel.counts(counts)?;
        out.fill(T::default());
        for (out, &count) in out.iter_mut().zip(&*counts) {
            *out = T::try_from(count).map_err(|_| {
                Error::invalid("data", format!("a count of {count}, more than {} bytes hold", size_of::<T>()))
            })?;
        }
    }
    Ok(())
}

/// A pixel as it is stored.
struct Pixel<'a> {
    column: usize,
    channels: usize,
    how: u16,
    n_pulses: usize,
    packed: &'a [u8],
    pulses: &'a [u8],
}

impl<'a> Pixel<'a> {
    /// Reads one, up to where the next one begins.
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let mut head = Reader { data: reader.take(HEAD)?, at: 0 };
        let (column, channels) = (head.u32()? as usize, usize::from(head.u16()?));
        head.take(6)?;
        let how = head.u16()?;
        head.take(2)?;
        let (n_pulses, size) = (usize::from(head.u16()?), head.u32()? as usize);
        if how <= 1 {
            return Ok(Self { column, channels, how, n_pulses, packed: reader.take(size)?, pulses: &[] });
        }
        // The size of more pulses counts to the packed size; where there are none it says nothing.
        let Some(size) = size.checked_sub(4) else {
            return Err(Error::invalid("data", format!("a packed spectrum of {size} bytes, which has no end")));
        };
        let packed = reader.take(size)?;
        let more = reader.u32()? as usize;
        let pulses = reader.take(if n_pulses > 0 { more } else { 0 })?;
        Ok(Self { column, channels, how, n_pulses, packed, pulses })
    }

    /// Adds its counts to as many zeros as it has channels.
    fn counts(&self, counts: &mut [u32]) -> Result<()> {
        match self.how {
            0 => add_pulses(self.packed, counts),
            1 => {
                if self.n_pulses * 3 > self.packed.len() / 2 * 4 {
                    return Err(Error::invalid(
                        "data",
                        format!("{} pulses in {} bytes", self.n_pulses, self.packed.len()),
                    ));
                }
                // Bytes in the order of 16-bit words, the higher one first: three of them are two channels.
                let byte = |i: usize| u32::from(self.packed[i ^ 1]);
                for pulse in 0..self.n_pulses {
                    let at = pulse / 2 * 3;
                    let channel = if pulse % 2 == 0 {
                        byte(at) << 4 | byte(at + 1) >> 4
                    } else {
                        (byte(at + 1) & 0xF) << 8 | byte(at + 2)
                    };
                    if let Some(count) = counts.get_mut(channel as usize) {
                        *count += 1;
                    }
                }
            }
            _ => {
                self.runs(counts)?;
                if self.pulses.len() < 2 * self.n_pulses {
                    return Err(Error::invalid(
                        "data",
                        format!("{} pulses in {} bytes", self.n_pulses, self.pulses.len()),
                    ));
                }
                add_pulses(&self.pulses[..2 * self.n_pulses], counts);
            }
        }
        Ok(())
    }

    /// Runs of channels, of which none may lie beyond the last one.
    fn runs(&self, counts: &mut [u32]) -> Result<()> {
        let (mut reader, mut first) = (Reader { data: self.packed, at: 0 }, 0);
        while reader.at < self.packed.len() {
            let (nibbles, channels) = (usize::from(reader.u8()?), usize::from(reader.u8()?));
            let Some(run) = counts.get_mut(first..first + channels) else {
                let message = format!("a run of {channels} channels from {first} on, of {}", self.channels);
                return Err(Error::invalid("data", message));
            };
            first += channels;
            if nibbles == 0 {
                continue;
            }
            if ![1, 2, 4, 8].contains(&nibbles) {
                return Err(Error::invalid("data", format!("counts of {nibbles} nibbles")));
            }
            let least = reader.number(nibbles)?;
            let values = reader.take((channels * nibbles).div_ceil(2))?;
            for (i, count) in run.iter_mut().enumerate() {
                let above = match nibbles {
                    1 => u64::from(values[i / 2] >> (4 * (i % 2)) & 0xF),
                    _ => number(&values[i * nibbles / 2..][..nibbles / 2]),
                };
                let total = least.checked_add(above).and_then(|total| u32::try_from(total).ok());
                *count = total.ok_or_else(|| Error::invalid("data", "a count beyond 32 bits"))?;
            }
        }
        Ok(())
    }
}

/// Adds a count for each channel of 16 bits; those beyond the last one are of no channel.
fn add_pulses(bytes: &[u8], counts: &mut [u32]) {
    for channel in bytes.chunks_exact(2) {
        if let Some(count) = counts.get_mut(number(channel) as usize) {
            *count += 1;
        }
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// Bytes that are read one after another, none of them beyond the end.
struct Reader<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, size: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(size).filter(|&end| end <= self.data.len());
        let Some(end) = end else {
            let message = format!("{size} bytes at byte {}, beyond the end of {}", self.at, self.data.len());
            return Err(Error::invalid("data", message));
        };
        let taken = &self.data[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn number(&mut self, size: usize) -> Result<u64> {
        Ok(number(self.take(size)?))
    }

    fn u8(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn u16(&mut self) -> Result<u16> {
        Ok(self.number(2)? as u16)
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(self.number(4)? as u32)
    }
}

#[cfg(test)]
mod tests;
