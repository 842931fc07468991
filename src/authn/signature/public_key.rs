//! Public keys of the supported types and sizes, and their DER encoding.

use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef};
use der::{Decode, Encode, Sequence};
use spki::{AlgorithmIdentifier, SubjectPublicKeyInfo, SubjectPublicKeyInfoRef};

/// A supported public key. Numbers are big-endian.
#[derive(Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// RSA, 2048 to 4096 bits, e = 65537.
    Rsa {
        /// The modulus, without leading zeros.
        n: Vec<u8>,
        /// The exponent, without leading zeros.
        e: Vec<u8>,
    },
    /// A point on one of the NIST curves.
    Ec {
        /// The curve.
        curve: Curve,
        /// The x coordinate, with the length of the curve's field.
        x: Vec<u8>,
        /// The y coordinate, with the length of the curve's field.
        y: Vec<u8>,
    },
}

/// The curves of RFC 7518 section 6.2.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
}

/// Why a key is not supported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedKey(pub String);

/// RFC 8017 section A.1.1.
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

// === impl PublicKey ===

impl PublicKey {
    /// From the modulus and exponent of a JWK.
    pub fn rsa(n: &[u8], e: &[u8]) -> Result<Self, UnsupportedKey> {
        let (n, e) = (trim(n), trim(e));
        let bits = n.len() * 8 - n.first().map_or(0, |top| top.leading_zeros() as usize);
        if !RSA_BITS.contains(&bits) {
            return Err(UnsupportedKey(format!("RSA key of {bits} bits, expected 2048 to 4096")));
        }
        if e != [1, 0, 1] {
            return Err(UnsupportedKey("RSA exponent is not 65537".to_owned()));
        }
        if n.last().is_none_or(|low| low % 2 == 0) {
            return Err(UnsupportedKey("RSA modulus is even".to_owned()));
        }
        Ok(Self::Rsa { n: n.to_vec(), e: e.to_vec() })
    }

    /// From the coordinates of a JWK. The crypto library checks later whether they are on the curve.
    pub fn ec(curve: Curve, x: &[u8], y: &[u8]) -> Result<Self, UnsupportedKey> {
        let bytes = curve.field_bytes();
        if x.len() != bytes || y.len() != bytes {
            return Err(UnsupportedKey(format!("x and y must have {bytes} bytes")));
        }
        Ok(Self::Ec { curve, x: x.to_vec(), y: y.to_vec() })
    }

    /// From the DER of a SubjectPublicKeyInfo (`BEGIN PUBLIC KEY`).
    pub fn from_spki(der: &[u8]) -> Result<Self, UnsupportedKey> {
        let spki = SubjectPublicKeyInfoRef::from_der(der)
            .map_err(|error| UnsupportedKey(format!("not a SubjectPublicKeyInfo: {error}")))?;
        let bits = spki
            .subject_public_key
            .as_bytes()
            .ok_or_else(|| UnsupportedKey("public key with unused bits".to_owned()))?;
        if spki.algorithm.oid == RSA_ENCRYPTION {
            return Self::from_pkcs1(bits);
        }
        let curve = spki.algorithm.parameters_oid().ok().and_then(Curve::of);
        match (spki.algorithm.oid == EC_PUBLIC_KEY, curve) {
            (true, Some(curve)) => Self::from_point(curve, bits),
            _ => Err(UnsupportedKey(format!(
                "key type {}, expected RSA, P-256, P-384 or P-521",
                spki.algorithm.oid
            ))),
        }
    }

    /// From the DER of an RSAPublicKey (`BEGIN RSA PUBLIC KEY`).
    pub fn from_pkcs1(der: &[u8]) -> Result<Self, UnsupportedKey> {
        let key = RsaPublicKey::from_der(der)
            .map_err(|error| UnsupportedKey(format!("not an RSAPublicKey: {error}")))?;
        Self::rsa(key.modulus.as_bytes(), key.exponent.as_bytes())
    }

    /// From an uncompressed point (SEC 1 section 2.3.3), the only form that Kubernetes writes and reads.
    fn from_point(curve: Curve, bits: &[u8]) -> Result<Self, UnsupportedKey> {
        match bits.split_first() {
            Some((&UNCOMPRESSED, point)) => {
                let (x, y) = point.split_at(point.len() / 2);
                Self::ec(curve, x, y)
            }
            _ => Err(UnsupportedKey("EC point is not in uncompressed form".to_owned())),
        }
    }

    /// The subjectPublicKey: a PKCS#1 key, or an uncompressed point.
    pub(crate) fn bits(&self) -> Result<Vec<u8>, der::Error> {
        match self {
            Self::Rsa { n, e } => {
                RsaPublicKey { modulus: UintRef::new(n)?, exponent: UintRef::new(e)? }.to_der()
            }
            Self::Ec { x, y, .. } => Ok([&[UNCOMPRESSED], x.as_slice(), y].concat()),
        }
    }

    /// The length of a JOSE signature by this key.
    pub fn signature_bytes(&self) -> usize {
        match self {
            Self::Rsa { n, .. } => n.len(),
            Self::Ec { curve, .. } => 2 * curve.field_bytes(),
        }
    }

    /// The DER of the SubjectPublicKeyInfo, from which Kubernetes derives the `kid`.
    pub fn spki_der(&self) -> Result<Vec<u8>, der::Error> {
        let curve;
        let (oid, parameters) = match self {
            Self::Rsa { .. } => (RSA_ENCRYPTION, AnyRef::NULL),
            Self::Ec { curve: named, .. } => {
                curve = named.oid();
                (EC_PUBLIC_KEY, AnyRef::from(&curve))
            }
        };
        let bits = self.bits()?;
        SubjectPublicKeyInfo {
            algorithm: AlgorithmIdentifier { oid, parameters: Some(parameters) },
            subject_public_key: BitStringRef::from_bytes(&bits)?,
        }
        .to_der()
    }
}

fn trim(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

// === impl Curve ===

impl Curve {
    /// The curve with this name in a JWK.
    pub fn named(crv: &str) -> Option<Self> {
        match crv {
            "P-256" => Some(Self::P256),
            "P-384" => Some(Self::P384),
            "P-521" => Some(Self::P521),
            _ => None,
        }
    }

    /// The length of a coordinate, and of half a signature.
    pub const fn field_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    fn of(oid: ObjectIdentifier) -> Option<Self> {
        [Self::P256, Self::P384, Self::P521].into_iter().find(|curve| curve.oid() == oid)
    }

    /// RFC 5480 section 2.1.1.1.
    const fn oid(self) -> ObjectIdentifier {
        match self {
            Self::P256 => ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"),
            Self::P384 => ObjectIdentifier::new_unwrap("1.3.132.0.34"),
            Self::P521 => ObjectIdentifier::new_unwrap("1.3.132.0.35"),
        }
    }
}

/// RFC 7518 section 3.3 requires 2048 bits. The upper limit bounds the cost of a verification; Kubernetes does not
/// create larger keys.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const UNCOMPRESSED: u8 = 4;
