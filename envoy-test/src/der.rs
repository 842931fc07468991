//! Writes DER, and BER that a strict encoder would not write.

/// A tag, its length in as few bytes as possible, and its content.
pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut bytes = vec![tag];
    match u8::try_from(length) {
        Ok(short @ 0..=0x7f) => bytes.push(short),
        Ok(one) => bytes.extend([0x81, one]),
        Err(_) => bytes.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    bytes.extend_from_slice(content);
    bytes
}

/// BER: the length in so many bytes more than it needs, behind a byte that counts them.
pub(crate) fn long(tag: u8, length_bytes: usize, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag, 0x80 | length_bytes as u8];
    bytes.extend(vec![0; length_bytes - 1]);
    bytes.push(content.len() as u8);
    bytes.extend_from_slice(content);
    bytes
}

/// BER: the content goes on to two zeros.
pub(crate) fn indefinite(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, 0x80], content, &[0, 0]].concat()
}

/// A SEQUENCE of these.
pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, &parts.concat())
}

/// A positive INTEGER.
pub(crate) fn integer(number: &[u8]) -> Vec<u8> {
    let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    let number = &number[start..];
    let sign: &[u8] = if number.first().is_none_or(|top| *top >= 0x80) { &[0] } else { &[] };
    tlv(INTEGER, &[sign, number].concat())
}

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OID: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const NULL: &[u8] = &[0x05, 0];
