//! DigestInfo (RFC 8017 section 9.2): the valid encoding, and almost valid ones.

use super::hash::{HASHES, Hash, OTHERS};
use crate::der::{BIT_STRING, NULL, OCTET_STRING, OID, SEQUENCE, indefinite, long, sequence, tlv};

type Infos = Vec<(String, Vec<u8>)>;

/// SEQUENCE { SEQUENCE { OID, NULL }, OCTET STRING }.
pub(in crate::conformance) fn right(hash: &Hash, text: &[u8]) -> Vec<u8> {
    info(hash.oid, &hash.of(text))
}

pub(super) fn wrong(hash: &Hash, text: &[u8]) -> Infos {
    let digest = hash.of(text);
    let mut infos = parameters(hash, &digest);
    infos.extend(lengths(hash, &digest));
    infos.extend(tags(hash, &digest));
    infos.extend(more_and_less(hash, &digest));
    infos.extend(digests(hash, &digest));
    infos.extend(other_hashes(hash, text));
    infos
}

fn info(oid: &[u8], digest: &[u8]) -> Vec<u8> {
    sequence(&[&algorithm(oid), &tlv(OCTET_STRING, digest)])
}

fn algorithm(oid: &[u8]) -> Vec<u8> {
    sequence(&[&tlv(OID, oid), NULL])
}

/// Values in place of the NULL.
fn parameters(hash: &Hash, digest: &[u8]) -> Infos {
    let with = |what: &str, parameters: &[u8]| {
        let algorithm = sequence(&[&tlv(OID, hash.oid), parameters]);
        (what.to_owned(), sequence(&[&algorithm, &tlv(OCTET_STRING, digest)]))
    };
    vec![
        with("no NULL", &[]),
        with("two NULLs", &[NULL, NULL].concat()),
        with("a NULL with a byte in it", &tlv(0x05, &[0])),
        with("a NULL with twenty bytes in it", &tlv(0x05, &[0x5a; 20])),
        with("a NULL in its long form", &long(0x05, 1, &[])),
        with("an empty SEQUENCE for the NULL", &sequence(&[])),
        with("an empty OCTET STRING for the NULL", &tlv(OCTET_STRING, &[])),
        with("two zeros for the NULL", &[0, 0]),
        with("an OID for the NULL", &tlv(OID, hash.oid)),
        with("twenty bytes behind the NULL", &[NULL, &tlv(OCTET_STRING, &[0x5a; 18])].concat()),
    ]
}

/// Lengths that BER allows and DER does not, and lengths that are wrong.
fn lengths(hash: &Hash, digest: &[u8]) -> Infos {
    let (oid, octets) = (tlv(OID, hash.oid), tlv(OCTET_STRING, digest));
    let algorithm = algorithm(hash.oid);
    let inner = [algorithm.as_slice(), &octets].concat();
    let members = [oid.as_slice(), NULL].concat();
    let outer = |parts: [&[u8]; 2]| sequence(&parts);
    let off = |at: usize, by: i8| {
        let mut info = info(hash.oid, digest);
        info[at] = info[at].wrapping_add_signed(by);
        info
    };
    let octets_at = 2 + algorithm.len() + 1;
    [
        ("a length of two bytes", long(SEQUENCE, 1, &inner)),
        ("a length of three bytes", long(SEQUENCE, 2, &inner)),
        ("a length of five bytes", long(SEQUENCE, 4, &inner)),
        ("no length", indefinite(SEQUENCE, &inner)),
        ("the algorithm's length of two bytes", outer([&long(SEQUENCE, 1, &members), &octets])),
        ("no length of the algorithm", outer([&indefinite(SEQUENCE, &members), &octets])),
        (
            "the OID's length of two bytes",
            outer([&sequence(&[&long(OID, 1, hash.oid), NULL]), &octets]),
        ),
        ("the hash's length of two bytes", outer([&algorithm, &long(OCTET_STRING, 1, digest)])),
        ("no length of the hash", outer([&algorithm, &indefinite(0x24, &octets)])),
        ("a length that is one too small", off(1, -1)),
        ("a length that is one too large", off(1, 1)),
        ("an algorithm's length that is one too large", off(3, 1)),
        ("a hash's length that is one too small", off(octets_at, -1)),
        ("a hash's length that is one too large", off(octets_at, 1)),
    ]
    .map(|(what, info)| (what.to_owned(), info))
    .into()
}

fn tags(hash: &Hash, digest: &[u8]) -> Infos {
    let algorithm = algorithm(hash.oid);
    let octets = tlv(OCTET_STRING, digest);
    let members = [tlv(OID, hash.oid), NULL.to_vec()].concat();
    let inner = [algorithm.as_slice(), &octets].concat();
    let bits = tlv(BIT_STRING, &[&[0], digest].concat());
    let unminimal = [&[0x80], hash.oid].concat();
    [
        ("a SET", tlv(0x31, &inner)),
        ("a primitive SEQUENCE", tlv(0x10, &inner)),
        ("a SET for the algorithm", sequence(&[&tlv(0x31, &members), &octets])),
        ("a BIT STRING for the hash", sequence(&[&algorithm, &bits])),
        ("a UTF8String for the hash", sequence(&[&algorithm, &tlv(0x0c, digest)])),
        ("a constructed hash", sequence(&[&algorithm, &tlv(0x24, &octets)])),
        ("a relative OID", sequence(&[&sequence(&[&tlv(0x0d, hash.oid), NULL]), &octets])),
        ("an OID in more bytes than it needs", info(&unminimal, digest)),
        ("the fields in the other order", sequence(&[&octets, &algorithm])),
        ("no SEQUENCE for the algorithm", sequence(&[&members, &octets])),
    ]
    .map(|(what, info)| (what.to_owned(), info))
    .into()
}

fn more_and_less(hash: &Hash, digest: &[u8]) -> Infos {
    let (right, algorithm) = (info(hash.oid, digest), algorithm(hash.oid));
    let octets = tlv(OCTET_STRING, digest);
    let within = |more: &[u8]| sequence(&[&algorithm, &octets, more]);
    let behind = |more: &[u8]| [right.as_slice(), more].concat();
    [
        ("nothing", Vec::new()),
        ("the hash alone", digest.to_vec()),
        ("the hash as an OCTET STRING alone", octets.clone()),
        ("no algorithm", sequence(&[&octets])),
        ("no hash", sequence(&[&algorithm])),
        ("an empty hash", info(hash.oid, &[])),
        ("a zero within it, behind the hash", within(&[0])),
        ("a NULL within it, behind the hash", within(NULL)),
        ("twenty bytes within it, behind the hash", within(&tlv(OCTET_STRING, &[0x5a; 18]))),
        ("a NULL behind it", behind(NULL)),
        ("a byte behind it", behind(&[0xff])),
        ("twenty bytes behind it", behind(&[0x5a; 20])),
        ("itself behind it", behind(&right)),
        ("a DigestInfo for the hash", info(hash.oid, &right)),
    ]
    .map(|(what, info)| (format!("DigestInfo: {what}"), info))
    .into()
}

fn digests(hash: &Hash, digest: &[u8]) -> Infos {
    let last = digest.len() - 1;
    let flipped = |at: usize| {
        let mut digest = digest.to_vec();
        digest[at] ^= 1;
        digest
    };
    let reversed: Vec<u8> = digest.iter().rev().copied().collect();
    [
        ("its first byte is another", flipped(0)),
        ("its last byte is another", flipped(last)),
        ("it is cut to 20 bytes", digest[..20].to_vec()),
        ("its last byte is missing", digest[..last].to_vec()),
        ("its first byte is missing", digest[1..].to_vec()),
        ("a zero behind it", [digest, &[0]].concat()),
        ("a zero in front of it", [&[0], digest].concat()),
        ("it is all zeros", vec![0; digest.len()]),
        ("it is backwards", reversed),
        ("it is of no text", hash.of(b"")),
        ("it is of itself", hash.of(digest)),
    ]
    .map(|(what, digest)| (format!("the hash: {what}"), info(hash.oid, &digest)))
    .into()
}

/// Another hash's name, another hash's value, and both.
fn other_hashes(hash: &Hash, text: &[u8]) -> Infos {
    let mut infos = Vec::new();
    for other in HASHES.iter().chain(&OTHERS).filter(|other| other.oid != hash.oid) {
        infos.push((format!("the hash of {}", other.alg), right(other, text)));
        infos.push((format!("the name of {}", other.alg), info(other.oid, &hash.of(text))));
        infos.push((format!("the value of {}", other.alg), info(hash.oid, &other.of(text))));
    }
    for (what, oid) in [("RSA with SHA-256", RSA_WITH_SHA256), ("RSA", RSA), ("MD5", MD5)] {
        infos.push((format!("the name of {what}"), info(oid, &hash.of(text))));
    }
    infos
}

/// RFC 8017 appendices A.1 and A.2.4, RFC 1321.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const RSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0b];
const MD5: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 5];
