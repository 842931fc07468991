//! Paused requests, which wait for keys or for a review: bounded in number and in time.

mod places;

pub use places::Source;

use crate::authenticator::{AccessReviewed, Hold, Reviewed};
use crate::callout::CalloutId;
use crate::connection::Connection;
use crate::denial::Denial;
use crate::time::UnixTime;
use places::Taken;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

/// Names a request to the driver (proxy-wasm's context id).
pub type RequestId = u32;

/// What is kept of a request. Its headers stay with the host: a paused request is evaluated anew from them when it
/// resumes, so that there is one code path to a verdict.
#[derive(Clone, Debug)]
pub struct Request {
    /// Unique in the VM.
    pub id: RequestId,
    /// When its headers arrived.
    pub arrived: UnixTime,
    /// What its connection says.
    pub connection: Connection,
    /// Neither a body nor trailers follow the headers.
    pub end_of_stream: bool,
    /// The reviews that it waited for.
    pub received: Received,
}

/// Reviews that a request waited for, whether or not they are cached. It may wait for several, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// Of its token.
    pub token: Option<Rc<Reviewed>>,
    /// Of its access.
    pub access: Vec<Rc<AccessReviewed>>,
}

/// Why a paused request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumption {
    /// Keys of an issuer that it waits for were fetched, or the fetch failed.
    KeysChanged,
    /// The review that it waits for has ended.
    Reviewed,
    /// Its deadline has passed.
    DeadlinePassed,
}

/// The paused requests of one VM.
#[derive(Debug)]
pub struct PausedRequests {
    requests: BTreeMap<RequestId, Paused>,
    /// Those with a resumption, in the order in which they go on.
    ready: VecDeque<RequestId>,
    taken: Taken,
    capacity: usize,
    timeout: Duration,
}

#[derive(Debug)]
struct Paused {
    request: Request,
    hold: Hold,
    source: Source,
    /// Something has happened for which the request goes on.
    resumption: Option<Resumption>,
}

// === impl PausedRequests ===

impl PausedRequests {
    /// `capacity` is `limits.maxWaiting`, for each cause; `timeout` is `limits.waitTimeout`.
    pub fn new(capacity: usize, timeout: Duration) -> Self {
        let (requests, ready) = (BTreeMap::new(), VecDeque::new());
        Self { requests, ready, taken: Taken::default(), capacity, timeout }
    }

    /// Pauses a request, if there is room. One that is paused already keeps its deadline.
    pub(crate) fn admit(&mut self, request: &Request, hold: Hold) -> Result<(), Denial> {
        let source = match self.take(request.id) {
            Some(paused) => paused.source,
            None => Source::of((request.connection.source.0)().as_deref()),
        };
        self.taken.by(&hold).occupy(&source, self.capacity)?;
        let paused = Paused { request: request.clone(), hold, source, resumption: None };
        self.requests.insert(request.id, paused);
        Ok(())
    }

    /// Forgets a request: it has its verdict, or its caller hung up.
    pub(crate) fn forget(&mut self, id: RequestId) {
        if !self.requests.is_empty() {
            self.take(id);
        }
    }

    fn take(&mut self, id: RequestId) -> Option<Paused> {
        let paused = self.requests.remove(&id)?;
        self.taken.by(&paused.hold).release(&paused.source);
        Some(paused)
    }

    /// Keys of this issuer were fetched, or the fetch failed.
    pub(crate) fn keys_changed(&mut self, issuer: usize) {
        for id in self.for_issuer(issuer) {
            self.resume(id, Resumption::KeysChanged);
        }
    }

    /// The review of this call has ended.
    pub(crate) fn reviewed(&mut self, call: CalloutId, reviewed: &Rc<Reviewed>) {
        for id in self.for_review(call) {
            if let Some(paused) = self.requests.get_mut(&id) {
                paused.request.received.token = Some(Rc::clone(reviewed));
            }
            self.resume(id, Resumption::Reviewed);
        }
    }

    /// The review of an access by this call has ended.
    pub(crate) fn access_reviewed(&mut self, call: CalloutId, reviewed: &Rc<AccessReviewed>) {
        for id in self.for_access(call) {
            if let Some(paused) = self.requests.get_mut(&id) {
                paused.request.received.access.push(Rc::clone(reviewed));
            }
            self.resume(id, Resumption::Reviewed);
        }
    }

    fn resume(&mut self, id: RequestId, resumption: Resumption) {
        if let Some(paused) = self.requests.get_mut(&id)
            && paused.resumption.replace(resumption).is_none()
        {
            self.ready.push_back(id);
        }
    }

    /// Up to `most` requests that can resume now, and whether there are more. Call [`Self::take_up`] for each.
    pub(crate) fn resumable(&mut self, now: UnixTime, most: usize) -> (Vec<RequestId>, bool) {
        for id in self.overdue(now) {
            // What has come in time, and is not taken up yet, still counts.
            if self.requests.get(&id).is_some_and(|paused| paused.resumption.is_none()) {
                self.resume(id, Resumption::DeadlinePassed);
            }
        }
        let ids: Vec<_> = self.ready.drain(..most.min(self.ready.len())).collect();
        (ids, !self.ready.is_empty())
    }

    /// A request that goes on, and why. It keeps its place until it has its verdict.
    pub(crate) fn take_up(&mut self, id: RequestId) -> Option<(Request, Resumption)> {
        let paused = self.requests.get_mut(&id)?;
        let resumption = paused.resumption.take()?;
        Some((paused.request.clone(), resumption))
    }

    /// Which requests wait for keys of this issuer.
    pub fn for_issuer(&self, issuer: usize) -> Vec<RequestId> {
        self.matching(
            |hold| matches!(hold, Hold::Keys { issuers, .. } if issuers.contains(&issuer)),
        )
    }

    /// Which requests wait for the answer to this call, which reviews their access.
    pub fn for_access(&self, call: CalloutId) -> Vec<RequestId> {
        self.matching(|hold| *hold == Hold::Access(call))
    }

    /// Which requests wait for the answer to this call.
    pub fn for_review(&self, call: CalloutId) -> Vec<RequestId> {
        self.matching(|hold| *hold == Hold::Review(call))
    }

    fn matching(&self, matches: impl Fn(&Hold) -> bool) -> Vec<RequestId> {
        let paused = self.requests.iter().filter(|(_, paused)| matches(&paused.hold));
        paused.map(|(id, _)| *id).collect()
    }

    /// Requests past their deadline. A clock that was set back makes no request wait longer.
    pub fn overdue(&self, now: UnixTime) -> Vec<RequestId> {
        let overdue = |arrived: UnixTime| arrived > now || arrived.plus(self.timeout) <= now;
        let overdue = self.requests.iter().filter(|(_, paused)| overdue(paused.request.arrived));
        overdue.map(|(id, _)| *id).collect()
    }

    /// The deadline of a request; `None` if it is not paused.
    pub fn deadline(&self, id: RequestId) -> Option<UnixTime> {
        self.requests.get(&id).map(|paused| paused.request.arrived.plus(self.timeout))
    }

    /// Whether requests that can go on are left for the next tick.
    pub fn are_resuming(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next deadline of a request.
    pub fn next_deadline(&self) -> Option<UnixTime> {
        self.requests.values().map(|paused| paused.request.arrived.plus(self.timeout)).min()
    }

    /// How many requests are paused.
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether no request is paused.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::keys::Cause;
    use crate::connection::SourceAddress;
    use crate::denial::Reason;

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(secs)
    }

    fn hold(cause: Cause) -> Hold {
        Hold::Keys { issuers: vec![0], cause }
    }

    /// Pauses request `id`, from an address of its own.
    fn admit(
        paused: &mut PausedRequests,
        id: RequestId,
        hold: Hold,
        secs: u64,
    ) -> Result<(), Denial> {
        thread_local! {
            static LAST: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
        }
        let of_its_own = || {
            LAST.set(LAST.get() + 1);
            Some(format!("{}:40000", std::net::Ipv4Addr::from_bits(LAST.get())))
        };
        admit_from(paused, id, hold, (secs, of_its_own))
    }

    fn admit_from(
        paused: &mut PausedRequests,
        id: RequestId,
        hold: Hold,
        (secs, source): (u64, fn() -> Option<String>),
    ) -> Result<(), Denial> {
        let connection = Connection { source: SourceAddress(source), ..Connection::default() };
        let received = Received::default();
        let request = Request { id, arrived: at(secs), connection, end_of_stream: true, received };
        paused.admit(&request, hold)
    }

    fn first() -> Option<String> {
        Some("10.0.0.1:40000".to_owned())
    }

    fn second() -> Option<String> {
        Some("10.0.0.2:40000".to_owned())
    }

    #[test]
    fn unknown_kids_do_not_take_the_places_of_requests_without_keys() {
        let mut paused = PausedRequests::new(2, Duration::from_secs(5));
        for id in 0..2 {
            assert_eq!(admit(&mut paused, id, hold(Cause::UnknownKid), 0), Ok(()));
        }
        let refused = admit(&mut paused, 2, hold(Cause::UnknownKid), 0).unwrap_err();
        assert_eq!(refused.reason(), Reason::Overloaded);
        assert_eq!(admit(&mut paused, 3, hold(Cause::NoKeys), 0), Ok(()));
        assert_eq!(admit(&mut paused, 4, Hold::Review(CalloutId(9)), 0), Ok(()));
        assert_eq!(paused.for_review(CalloutId(9)), [4]);
    }

    #[test]
    fn one_address_holds_a_quarter_of_the_places_at_most() {
        let mut paused = PausedRequests::new(1000, Duration::from_secs(5));
        let mut flood = |ids: std::ops::Range<RequestId>, source: fn() -> Option<String>| {
            ids.filter(|id| admit_from(&mut paused, *id, hold(Cause::NoKeys), (0, source)).is_ok())
                .count()
        };
        assert_eq!(flood(0..2000, first), 250);
        assert_eq!(flood(2000..2100, second), 100);
        paused.forget(0);
        assert_eq!(admit_from(&mut paused, 3000, hold(Cause::NoKeys), (0, first)), Ok(()));
        let denial = admit_from(&mut paused, 3001, hold(Cause::NoKeys), (0, first)).unwrap_err();
        assert_eq!(denial.detail(), "250 requests from 10.0.0.1 are paused already");
        (0..4000).for_each(|id| paused.forget(id));
        assert!(paused.is_empty() && paused.taken.no_keys.by_source.is_empty(), "{paused:?}");
    }

    #[test]
    fn addresses_that_a_caller_can_write_share_one_quarter() {
        assert_eq!(Source::of(Some("203.0.113.9:0")), Source::Unknown);
        assert_eq!(Source::of(None), Source::Unknown);
        assert_eq!(Source::of(Some("[fd00::7]:41234")), Source::Address("fd00::7".into()));
        assert_eq!(Source::of(Some("10.0.0.7:1")), Source::of(Some("10.0.0.7:65535")));
        assert_eq!(Source::of(Some("/run/app.sock")), Source::Address("/run/app.sock".into()));
    }

    #[test]
    fn a_request_that_is_paused_again_keeps_its_deadline() {
        let mut paused = PausedRequests::new(1, Duration::from_secs(5));
        admit(&mut paused, 7, hold(Cause::NoKeys), 0).unwrap();
        paused.keys_changed(0);
        assert_eq!(paused.resumable(at(3), 32), (vec![7], false));
        let (request, _) = paused.take_up(7).unwrap();
        let next = Hold::Keys { issuers: vec![1], cause: Cause::UnknownKid };
        paused.admit(&request, next).unwrap();
        assert!(paused.overdue(at(4)).is_empty());
        assert_eq!(paused.overdue(at(5)), [7]);
        assert_eq!((paused.for_issuer(0), paused.for_issuer(1)), (vec![], vec![7]));
        paused.forget(7);
        assert!(paused.is_empty());
    }

    #[test]
    fn keys_that_arrive_as_the_deadline_passes_are_not_lost() {
        let mut paused = PausedRequests::new(100, Duration::from_secs(5));
        admit(&mut paused, 1, hold(Cause::NoKeys), 0).unwrap();
        paused.keys_changed(0);
        assert_eq!(paused.resumable(at(5), 32), (vec![1], false));
        let (_, resumption) = paused.take_up(1).unwrap();
        assert!(matches!(resumption, Resumption::KeysChanged), "{resumption:?}");
    }

    #[test]
    fn requests_resume_a_few_at_a_time_each_once_and_not_after_their_end() {
        let mut paused = PausedRequests::new(100, Duration::from_secs(5));
        for id in 0..4 {
            admit(&mut paused, id, hold(Cause::NoKeys), 0).unwrap();
        }
        paused.keys_changed(0);
        paused.keys_changed(0);
        assert_eq!(paused.resumable(at(9), 3), (vec![0, 1, 2], true));
        assert_eq!(paused.resumable(at(9), 3), (vec![3], false));
        paused.forget(1);
        assert!(paused.take_up(0).is_some() && paused.take_up(0).is_none());
        assert!(paused.take_up(1).is_none());
    }
}
