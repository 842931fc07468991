//! EMSA-PKCS1-v1_5 (RFC 8017 section 9.2): the right block around a DigestInfo, and wrong ones.

/// 0, 1, as many 0xff as fit, 0, and the DigestInfo.
pub(in crate::conformance) fn right(info: &[u8]) -> Vec<u8> {
    [&[0, 1], padding(info).as_slice(), &[0], info].concat()
}

/// Blocks that faulty verifiers have accepted, each with the valid DigestInfo.
pub(super) fn wrong(info: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut blocks = frames(info);
    blocks.extend(paddings(info));
    blocks.extend(short_paddings(info));
    blocks
}

fn frames(info: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let changed = |at: usize, byte: u8| {
        let mut block = right(info);
        block[at] = byte;
        block
    };
    let end = BYTES - info.len() - 1;
    let shifted = right(&[info, &[0]].concat());
    vec![
        ("block type 0", changed(1, 0)),
        ("block type 2", changed(1, 2)),
        ("block type 0xff", changed(1, 0xff)),
        ("a first byte that is 1", changed(0, 1)),
        ("no first byte", [&right(info)[1..], &[0]].concat()),
        ("a byte more in front", [&[0], &right(info)[..BYTES - 1]].concat()),
        ("no zero behind the padding", changed(end, 0xff)),
        ("a one for the zero behind the padding", changed(end, 1)),
        ("two zeros behind the padding", changed(end - 1, 0)),
        ("a zero behind the DigestInfo", shifted),
        ("the DigestInfo alone", [vec![0; BYTES - info.len()], info.to_vec()].concat()),
    ]
}

fn paddings(info: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let last = padding(info).len() - 1;
    let of = |make: &dyn Fn(usize) -> u8| {
        let padding: Vec<u8> = (0..=last).map(make).collect();
        [&[0, 1], padding.as_slice(), &[0], info].concat()
    };
    let one = |at: usize, byte: u8| of(&|place| if place == at { byte } else { 0xff });
    vec![
        ("a padding of zeros", of(&|_| 0)),
        ("a padding of ones", of(&|_| 1)),
        ("a padding of 0xfe", of(&|_| 0xfe)),
        ("a padding as for encryption", of(&|at| (at % 255) as u8 + 1)),
        ("a padding that begins with 0xfe", one(0, 0xfe)),
        ("a padding with 0x7f in its middle", one(last / 2, 0x7f)),
        ("a padding that ends with 0xfe", one(last, 0xfe)),
        ("a padding that begins with a zero", one(0, 0)),
        ("a padding with a zero in its middle", one(last / 2, 0)),
        ("a padding with a zero as its ninth byte", one(8, 0)),
    ]
}

/// Bleichenbacher's forgery of 2006, and CVE-2006-4339: a verifier that does not check the end of the block can be
/// deceived without the private key if e is small.
fn short_paddings(info: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let short = |padding: usize, behind: u8| {
        let mut block = [&[0, 1], vec![0xff; padding].as_slice(), &[0], info].concat();
        block.resize(BYTES, behind);
        block
    };
    vec![
        ("no padding, zeros behind the DigestInfo", short(0, 0)),
        ("no padding, 0xff behind the DigestInfo", short(0, 0xff)),
        ("one byte of padding, zeros behind the DigestInfo", short(1, 0)),
        ("seven bytes of padding, zeros behind the DigestInfo", short(7, 0)),
        ("eight bytes of padding, zeros behind the DigestInfo", short(8, 0)),
        ("eight bytes of padding, 0xff behind the DigestInfo", short(8, 0xff)),
        ("half of the padding, 0xff behind the DigestInfo", short(padding(info).len() / 2, 0xff)),
        (
            "two bytes less of padding, zeros behind the DigestInfo",
            short(padding(info).len() - 2, 0),
        ),
    ]
}

fn padding(info: &[u8]) -> Vec<u8> {
    vec![0xff; BYTES - 3 - info.len()]
}

/// The length of a 2048-bit modulus.
const BYTES: usize = 256;
