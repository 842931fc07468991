//! P-521, which ring does not have: RustCrypto signs with it.

use p521::ecdsa::signature::{Signer, Verifier};
use p521::ecdsa::{Signature, SigningKey};
use ring::rand::{SecureRandom, SystemRandom};

pub(super) struct P521Key {
    key: SigningKey,
    /// The uncompressed point.
    public: Vec<u8>,
}

// === impl P521Key ===

impl P521Key {
    pub(super) fn generate() -> Self {
        let random = SystemRandom::new();
        loop {
            let mut secret = [0; 66];
            random.fill(&mut secret).expect("the system has random numbers");
            // 521 bits; one in 2^260 of such numbers is not below the order.
            secret[0] &= 1;
            if let Ok(key) = SigningKey::from_slice(&secret) {
                let public = key.verifying_key().to_sec1_point(false).as_bytes().to_vec();
                return Self { key, public };
            }
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let signature: Signature = self.key.try_sign(message).ok()?;
        Some(signature.to_bytes().to_vec())
    }

    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.key.verifying_key().verify(message, &signature).is_ok())
    }

    pub(super) fn public(&self) -> &[u8] {
        &self.public
    }
}
