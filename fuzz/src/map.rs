//! An independent parser for header maps.

/// Names and values, as far as they can be read.
pub fn pairs(map: &[u8]) -> Vec<(&[u8], &[u8])> {
    let count = number(map, 0).unwrap_or(0);
    let (mut pairs, mut at) = (Vec::new(), 4 + 8 * count);
    for index in 0..count {
        let lengths = (number(map, 4 + 8 * index), number(map, 8 + 8 * index));
        let (Some(name), Some(value)) = lengths else { break };
        let (Some(name), Some(value)) =
            (map.get(at..at + name), map.get(at + name + 1..at + name + 1 + value))
        else {
            break;
        };
        at += name.len() + value.len() + 2;
        pairs.push((name, value));
    }
    pairs
}

/// Whether a server that converts headers to environment variables would treat this as `wanted`.
pub fn is_taken_for(name: &[u8], wanted: &str) -> bool {
    let fold = |byte: &u8| match byte.to_ascii_lowercase() {
        byte @ (b'a'..=b'z' | b'0'..=b'9') => byte,
        _ => b'-',
    };
    name.iter().map(fold).eq(wanted.bytes())
}

fn number(map: &[u8], at: usize) -> Option<usize> {
    let bytes = map.get(at..at + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
}
