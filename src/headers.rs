//! Reads the headers that the filter uses from the host's header map.
//!
//! All headers are read in one call, because calls from the VM to the host are expensive. The buffer is the proxy-wasm form
//! of a map: a count, the sizes of each name and value (u32, little endian), then the bytes, each followed by a NUL. Values
//! are bytes and not necessarily UTF-8.

use smallvec::SmallVec;

/// The header names that the filter uses, indexed once for a configuration.
#[derive(Debug)]
pub struct HeaderIndex {
    /// The configured names, then [`ALWAYS`], by length; names of [`LONG`] bytes and more are together. Few names have the
    /// same length, and a hash would cost more than comparing them.
    by_length: [Vec<(Vec<u8>, Interest)>; LONG + 1],
}

/// The headers of a request that the filter uses.
#[derive(Debug, Default)]
pub struct Headers<'m> {
    /// `:authority`, where HTTP/1 has Host.
    pub authority: Option<&'m [u8]>,
    /// `:method`.
    pub method: Option<&'m [u8]>,
    /// `:path`, with its query.
    pub path: Option<&'m [u8]>,
    /// Whether `content-type` says that the caller speaks gRPC.
    pub grpc: bool,
    /// `x-request-id`, for the log.
    pub request_id: Option<&'m [u8]>,
    /// Whether there is an `origin`.
    pub origin: bool,
    /// Whether there is an `access-control-request-method`.
    pub cors_request_method: bool,
    /// Values of the configured token headers, with the index of the source.
    pub tokens: SmallVec<[(usize, &'m [u8]); 1]>,
    /// Names, as they came, that would be taken for identity headers.
    pub identity: Vec<&'m [u8]>,
}

/// The buffer is not what proxy-wasm says it is.
#[derive(Debug, PartialEq, Eq)]
pub struct UnreadableHeaders;

#[derive(Clone, Copy, Debug)]
enum Interest {
    Authority,
    Method,
    Path,
    ContentType,
    RequestId,
    Origin,
    CorsRequestMethod,
    Token(usize),
    Identity,
}

/// Walks over the names and values of a header map.
struct Pairs<'m> {
    sizes: &'m [u8],
    bytes: &'m [u8],
}

/// A name and a value.
type Pair<'m> = (&'m [u8], &'m [u8]);

// === impl HeaderIndex ===

impl HeaderIndex {
    /// `tokens` are the names that may carry a token, in the order of `tokenFrom`; `identity` are the
    /// names that the filter may write. Both lower-case.
    pub fn new<'n>(
        tokens: impl IntoIterator<Item = &'n str>,
        identity: impl IntoIterator<Item = &'n str>,
    ) -> Self {
        let tokens = tokens.into_iter().enumerate();
        let tokens = tokens.map(|(at, name)| (name.as_bytes().to_vec(), Interest::Token(at)));
        let identity =
            identity.into_iter().map(|name| (name.bytes().map(fold).collect(), Interest::Identity));
        let always = ALWAYS.iter().map(|(name, interest)| (name.as_bytes().to_vec(), *interest));
        let mut by_length = [const { Vec::new() }; LONG + 1];
        for (name, interest) in tokens.chain(identity).chain(always) {
            if let Some(names) = by_length.get_mut(name.len().min(LONG)) {
                names.push((name, interest));
            }
        }
        Self { by_length }
    }

    #[inline]
    fn interest(&self, name: &[u8]) -> Option<Interest> {
        let names = self.by_length.get(name.len().min(LONG))?;
        if names.is_empty() {
            return None;
        }
        if let Some((_, interest)) = names.iter().find(|(known, _)| known == name) {
            return Some(*interest);
        }
        // Servers that hand headers on as environment variables (CGI, WSGI, many frameworks) see no
        // difference between `x_sa_name`, `x.sa.name` and `x-sa-name`, so none may come from a caller.
        let is_name = |known: &[u8]| known.iter().copied().eq(name.iter().copied().map(fold));
        names
            .iter()
            .any(|(known, interest)| matches!(interest, Interest::Identity) && is_name(known))
            .then_some(Interest::Identity)
    }
}

/// Names of this length and longer ones are in one group.
const LONG: usize = 32;

/// Lower-case, with dashes for everything but letters and digits.
fn fold(byte: u8) -> u8 {
    let byte = byte.to_ascii_lowercase();
    if is_plain(byte) { byte } else { b'-' }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

/// What is looked at however the filter is configured.
const ALWAYS: [(&str, Interest); 7] = [
    (":authority", Interest::Authority),
    (":method", Interest::Method),
    (":path", Interest::Path),
    ("content-type", Interest::ContentType),
    ("x-request-id", Interest::RequestId),
    ("origin", Interest::Origin),
    ("access-control-request-method", Interest::CorsRequestMethod),
];

// === impl Headers ===

impl<'m> Headers<'m> {
    /// Reads the host's map once.
    pub fn read(map: &'m [u8], index: &HeaderIndex) -> Result<Self, UnreadableHeaders> {
        let mut headers = Self::default();
        headers.add(map, index)?;
        Ok(headers)
    }

    /// The same into headers of which nothing is known: a request moves them nowhere.
    pub(crate) fn add(
        &mut self,
        map: &'m [u8],
        index: &HeaderIndex,
    ) -> Result<(), UnreadableHeaders> {
        let mut pairs = Pairs::over(map)?;
        while let Some((name, value)) = pairs.next()? {
            match index.interest(name) {
                None => {}
                // A second pseudo-header would make two readings of one request.
                Some(Interest::Authority) => set_once(&mut self.authority, value)?,
                Some(Interest::Method) => set_once(&mut self.method, value)?,
                Some(Interest::Path) => set_once(&mut self.path, value)?,
                Some(Interest::ContentType) => self.grpc |= is_grpc(value),
                Some(Interest::RequestId) => self.request_id = Some(value),
                Some(Interest::Origin) => self.origin = true,
                Some(Interest::CorsRequestMethod) => self.cors_request_method = true,
                Some(Interest::Token(source)) => self.tokens.push((source, value)),
                Some(Interest::Identity) => self.identity.push(name),
            }
        }
        Ok(())
    }
}

/// Names in a map of trailers that would be taken for identity headers, or that may hold a token. Some
/// servers hand trailers on as if they were headers.
pub fn claims_in_trailers<'m>(
    map: &'m [u8],
    index: &HeaderIndex,
) -> Result<Vec<&'m [u8]>, UnreadableHeaders> {
    let mut names = Vec::new();
    let mut pairs = Pairs::over(map)?;
    while let Some((name, _)) = pairs.next()? {
        if let Some(Interest::Identity | Interest::Token(_)) = index.interest(name) {
            names.push(name);
        }
    }
    Ok(names)
}

fn set_once<'m>(slot: &mut Option<&'m [u8]>, value: &'m [u8]) -> Result<(), UnreadableHeaders> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(UnreadableHeaders),
    }
}

/// `application/grpc`, `application/grpc+proto`, `application/grpc; ...`, as Envoy sees it.
fn is_grpc(content_type: &[u8]) -> bool {
    content_type
        .strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

// === impl Pairs ===

impl<'m> Pairs<'m> {
    fn over(map: &'m [u8]) -> Result<Self, UnreadableHeaders> {
        if map.is_empty() {
            return Ok(Self { sizes: &[], bytes: &[] });
        }
        let (count, rest) = take_u32(map)?;
        let sizes = count.checked_mul(8).ok_or(UnreadableHeaders)?;
        let (sizes, bytes) = rest.split_at_checked(sizes).ok_or(UnreadableHeaders)?;
        Ok(Self { sizes, bytes })
    }

    #[inline]
    fn next(&mut self) -> Result<Option<Pair<'m>>, UnreadableHeaders> {
        if self.sizes.is_empty() {
            return Ok(None);
        }
        let (name, rest) = take_u32(self.sizes)?;
        let (value, rest) = take_u32(rest)?;
        self.sizes = rest;
        Ok(Some((self.take(name)?, self.take(value)?)))
    }

    fn take(&mut self, length: usize) -> Result<&'m [u8], UnreadableHeaders> {
        let (bytes, rest) = self.bytes.split_at_checked(length).ok_or(UnreadableHeaders)?;
        let (_nul, rest) = rest.split_first().ok_or(UnreadableHeaders)?;
        self.bytes = rest;
        Ok(bytes)
    }
}

fn take_u32(bytes: &[u8]) -> Result<(usize, &[u8]), UnreadableHeaders> {
    let (number, rest) = bytes.split_first_chunk::<4>().ok_or(UnreadableHeaders)?;
    let number = usize::try_from(u32::from_le_bytes(*number)).map_err(|_| UnreadableHeaders)?;
    Ok((number, rest))
}

/// Names and values in the host's form; for what is sent to the host, and for tests, which have none.
pub fn to_map<'p>(pairs: impl IntoIterator<Item = (&'p [u8], &'p [u8])>) -> Vec<u8> {
    let pairs: Vec<_> = pairs.into_iter().collect();
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    let count = u32::try_from(pairs.len()).unwrap_or(u32::MAX);
    let mut map = count.to_le_bytes().to_vec();
    for (name, value) in &pairs {
        map.extend(length(name));
        map.extend(length(value));
    }
    for (name, value) in &pairs {
        map.extend_from_slice(name);
        map.push(0);
        map.extend_from_slice(value);
        map.push(0);
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> HeaderIndex {
        HeaderIndex::new(["authorization", "x-client-id"], ["x-sa-name"])
    }

    fn map(pairs: &[(&str, &[u8])]) -> Vec<u8> {
        to_map(pairs.iter().map(|(name, value)| (name.as_bytes(), *value)))
    }

    #[test]
    fn values_need_not_be_utf8() {
        let map = map(&[(":path", b"/\xff"), ("x-client-id", b"\xfe"), ("cookie", b"a=b")]);
        let headers = Headers::read(&map, &index()).unwrap();
        assert_eq!(headers.path, Some(b"/\xff".as_slice()));
        assert_eq!(headers.tokens.as_slice(), [(1, b"\xfe".as_slice())]);
    }

    #[test]
    fn every_spelling_of_an_identity_header_is_seen() {
        let names = ["x-sa-name", "x_sa_name", "x.sa_name", "X-SA-Name", "x-sa-names"];
        let map = map(&names.map(|name| (name, b"v".as_slice())));
        let headers = Headers::read(&map, &index()).unwrap();
        let seen: Vec<_> = headers.identity.iter().map(|n| String::from_utf8_lossy(n)).collect();
        assert_eq!(seen, ["x-sa-name", "x_sa_name", "x.sa_name", "X-SA-Name"]);
    }

    #[test]
    fn an_underscore_does_not_make_a_token_header() {
        let map = map(&[("x_client_id", b"t")]);
        assert!(Headers::read(&map, &index()).unwrap().tokens.is_empty());
    }

    #[test]
    fn two_paths_are_unreadable() {
        let map = map(&[(":path", b"/a"), (":path", b"/b")]);
        assert_eq!(Headers::read(&map, &index()).unwrap_err(), UnreadableHeaders);
    }

    #[test]
    fn a_buffer_that_ends_early_is_unreadable_wherever_it_ends() {
        let map = map(&[(":path", b"/a"), ("authorization", b"Bearer t")]);
        for end in 1..map.len() {
            assert_eq!(
                Headers::read(&map[..end], &index()).unwrap_err(),
                UnreadableHeaders,
                "{end} bytes"
            );
        }
        assert!(Headers::read(&[0xff; 12], &index()).is_err_and(|e| e == UnreadableHeaders));
    }

    #[test]
    fn identity_and_tokens_are_seen_in_trailers_too() {
        let map = map(&[("grpc-status", b"0"), ("X_sa_name", b"a"), ("x-client-id", b"t")]);
        let names = claims_in_trailers(&map, &index()).unwrap();
        assert_eq!(names, [b"X_sa_name".as_slice(), b"x-client-id"]);
    }

    #[test]
    fn grpc_is_told_by_its_content_type() {
        for (value, grpc) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc-web", false),
            ("application/json", false),
        ] {
            assert_eq!(is_grpc(value.as_bytes()), grpc, "{value}");
        }
    }
}
