use super::*;

/// One line of one pixel in column 1 of 3, of `channels` channels.
fn map(channels: u16, how: u16, pulses: u16, packed: &[u8], more: &[u8]) -> Vec<u8> {
    let mut data = vec![0; FIRST];
    data[0] = 1;
    data[4] = 3;
    data.extend(1u32.to_le_bytes());
    data.extend(1u32.to_le_bytes());
    data.extend([channels.to_le_bytes(), channels.to_le_bytes()].concat());
    data.extend([0; 4]);
    data.extend([how.to_le_bytes(), [0; 2], pulses.to_le_bytes()].concat());
    let own = if how > 1 { 4 } else { 0 };
    data.extend((packed.len() as u32 + own).to_le_bytes());
    data.extend(packed);
    if how > 1 {
        data.extend((more.len() as u32).to_le_bytes());
        data.extend(more);
    }
    data
}

fn unpacked(data: &[u8], channels: usize) -> Result<Vec<u16>> {
    let mut out = vec![9; 3 * channels];
    unpack(data, (1, 3, channels), &mut out, &Control::new())?;
    assert!(out[..channels].iter().chain(&out[2 * channels..]).all(|&x| x == 0));
    Ok(out[channels..2 * channels].to_vec())
}

#[test]
fn pulses_of_sixteen_and_of_twelve_bits_are_counted() {
    assert_eq!(unpacked(&map(5, 0, 3, &[2, 0, 4, 0, 2, 0], &[]), 5).unwrap(), [0, 0, 2, 0, 1]);
    // Channels 0x002, 0x004, 0x002 as nibbles 0 0 2 0 0 4 0 0 2, the bytes of every word in turn.
    assert_eq!(unpacked(&map(5, 1, 3, &[0x20, 0x00, 0x00, 0x04, 0x00, 0x20], &[]), 5).unwrap(), [0, 0, 2, 0, 1]);
}

#[test]
fn runs_have_counts_of_four_to_thirty_two_bits_above_their_least_one() {
    let runs = [0, 2, 1, 3, 5, 0x21, 0x03, 2, 2, 1, 0, 7, 9, 4, 1, 0, 1, 0, 0, 0x01, 0x02, 8, 1];
    let mut packed = runs.to_vec();
    packed.extend(3u64.to_le_bytes());
    packed.extend(70u32.to_le_bytes());
    let expected = [0, 0, 6, 7, 8, 8, 10, 0x0201 + 256, 73, 1];
    assert_eq!(unpacked(&map(10, 2, 1, &packed, &[9, 0]), 10).unwrap(), expected);
    assert_eq!(unpacked(&map(10, 2, 1, &packed, &[9, 0]), 4).unwrap(), expected[..4]);
}

#[test]
fn a_line_of_more_pixels_than_columns_is_refused() {
    let mut data = map(4, 0, 1, &[3, 0], &[]);
    data[FIRST] = 4;
    let one = data[FIRST + 4..].to_vec();
    (0..3).for_each(|_| data.extend(&one));
    let refused = unpack(&data, (1, 3, 4), &mut [0u8; 12], &Control::new()).unwrap_err();
    assert_eq!(refused.to_string(), "data: line 0: 4 pixels in 3 columns");
}

/// Numbers below a limit, of a seed.
fn draws(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move |limit| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % limit.max(1)
    }
}

#[test]
fn whatever_the_bytes_there_are_counts_or_an_error() {
    let (shape, control) = ((3, 4, 9), Control::new());
    let mut outcomes = [0; 2];
    for seed in 1..=if cfg!(miri) { 20 } else { 20_000 } {
        let mut draw = draws(seed);
        let mut data = vec![0; FIRST];
        (data[0], data[4]) = (3, 4);
        for _ in 0..3 {
            let pixels = draw(5);
            data.extend((pixels as u32).to_le_bytes());
            for _ in 0..pixels {
                let (how, pulses) = (draw(4) as u16, draw(5) as u16);
                let packed = match how {
                    0 => Vec::from_iter((0..2 * pulses).map(|i| if i % 2 == 0 { draw(11) as u8 } else { 0 })),
                    1 => Vec::from_iter((0..2 * pulses).map(|_| draw(256) as u8)),
                    _ => Vec::from([1, 2, 1, draw(256) as u8, draw(256) as u8, 0, draw(9) as u8]),
                };
                let more = Vec::from_iter((0..2 * pulses).map(|_| draw(3) as u8));
                let whole = map(9, how, pulses, &packed, if how > 1 { &more } else { &[] });
                data.extend((draw(5) as u32).to_le_bytes());
                data.extend(&whole[FIRST + 8..]);
            }
        }
        // Whole, changed in a few places, cut, or noise throughout.
        for _ in 0..[0, 1, 3, 20][draw(4)] {
            let (at, value) = (draw(data.len()), [0, 1, 2, 4, 8, 127, 255, draw(256)][draw(8)]);
            data[at] = value as u8;
        }
        if draw(6) == 0 {
            data.truncate(draw(data.len()));
        }
        if draw(9) == 0 {
            data.iter_mut().skip(FIRST).for_each(|byte| *byte = draw(256) as u8);
        }
        let read = [
            unpack(&data, shape, &mut [0u8; 108], &control).is_ok(),
            unpack(&data, shape, &mut [0u16; 108], &control).is_ok(),
            unpack(&data, shape, &mut [0u32; 108], &control).is_ok(),
        ];
        assert!(read.is_sorted(), "{seed}: what fits into fewer bytes fits into more");
        outcomes[usize::from(read[2])] += 1;
    }
    assert!(outcomes.iter().all(|&count| count > 0), "{outcomes:?}");
}

#[test]
fn what_is_cut_or_changed_is_an_error_or_another_count_but_never_a_panic() {
    let packed = [0, 2, 1, 3, 5, 0x21, 0x03, 2, 2, 1, 0, 7, 9];
    for data in
        [map(7, 2, 1, &packed, &[6, 0]), map(7, 1, 4, &[1, 2, 3, 4, 5, 6], &[]), map(7, 0, 2, &[3, 0, 1, 0], &[])]
    {
        assert!(unpacked(&data, 7).is_ok());
        for end in 0..data.len() {
            assert!(unpack(&data[..end], (1, 3, 7), &mut [0u16; 21], &Control::new()).is_err(), "{end}");
        }
        for at in (0..8).chain(FIRST..data.len()) {
            for value in [0, 1, 2, 3, 8, 127, 128, 255] {
                let mut changed = data.clone();
                changed[at] = value;
                let _ = unpack(&changed, (1, 3, 7), &mut [0u8; 21], &Control::new());
            }
        }
    }
}
