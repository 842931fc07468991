//! Several VMs of one Envoy: one of them fetches, the others take over what it got.

use super::{HELD, UNAVAILABLE, UNKNOWN_KEY, core, key, millis, seconds, set, token};
use crate::support::{Core, Outcome, Request, discovery_document, get, ok};
use envoy_test::SigningKey;
use envoy_test::token::DEFAULT_ISSUER;
use sa_authn::authenticator::Consultation;
use sa_authn::authn::keys::discovery;
use sa_authn::callout::{Callout, Reply};
use sa_authn::metrics::{Change, Metrics};
use serde_json::json;
use std::collections::HashMap;

/// VMs, and the shared data of their host: each entry with the number of its version.
struct Envoy {
    vms: Vec<Core>,
    shared: HashMap<String, (Vec<u8>, u32)>,
    metrics: Metrics,
}

#[test]
fn keys_are_fetched_once_for_all_vms() {
    let (mut envoy, key) = (Envoy::of(4), key());
    assert_eq!(envoy.run(&set(&[&key])), 2, "discovery, and the keys");
    for vm in &mut envoy.vms {
        assert!(vm.by(&key).passes());
    }
    // Then all refresh by one call.
    for _ in 0..3 {
        envoy.wait(seconds(600));
        assert_eq!(envoy.run(&set(&[&key])), 1);
    }
}

#[test]
fn a_rotated_in_key_is_accepted_on_its_first_request_at_every_vm() {
    let (mut envoy, old, new) = at_rest();
    let mut requests = envoy.requests(&new);
    assert!(requests.iter_mut().zip(&mut envoy.vms).all(|(one, vm)| one.arrives(vm) == HELD));
    assert_eq!(envoy.run(&set(&[&old, &new])), 1);
    for (request, vm) in requests.iter_mut().zip(&mut envoy.vms) {
        assert!(request.wakes(vm).passes());
    }
}

#[test]
fn the_ration_of_fetches_for_unknown_kids_is_one_for_all_vms() {
    let (mut envoy, old, new) = at_rest();
    let mut fetches = 0;
    for round in 0..6 {
        let mut requests = envoy.requests(&new);
        for (request, vm) in requests.iter_mut().zip(&mut envoy.vms) {
            request.arrives(vm);
        }
        fetches += envoy.run(&set(&[&old]));
        for (request, vm) in requests.iter_mut().zip(&mut envoy.vms) {
            let expected = if round < 3 { UNKNOWN_KEY } else { UNAVAILABLE };
            assert_eq!(request.wakes(vm), expected, "round {round}");
        }
        envoy.wait(millis(1100));
    }
    assert_eq!(fetches, 3);
}

#[test]
fn while_one_vm_fetches_the_others_wait_and_take_over_when_it_is_lost() {
    let (mut envoy, key) = (Envoy::of(3), key());
    let lost = envoy.due();
    assert_eq!(lost.len(), 1, "one VM holds the lease");
    for _ in 0..50 {
        envoy.wait(millis(100));
        assert_eq!(envoy.due().len(), 0);
    }
    // A lease is for one call and a second more.
    envoy.wait(millis(1100));
    assert_eq!(envoy.run(&set(&[&key])), 2);
    assert_eq!(envoy.vms.iter_mut().map(|vm| vm.by(&key)).filter(Outcome::passes).count(), 2);
}

#[test]
fn a_vm_whose_fetch_failed_gives_the_lease_back() {
    let (mut envoy, key) = (Envoy::of(2), key());
    let [(at, call)] = &envoy.due()[..] else { panic!("one call") };
    envoy.settle(*at, call, Reply::Reset);
    envoy.wait(millis(50));
    let due = envoy.due();
    assert_eq!(due.len(), 1);
    assert_ne!(due[0].0, *at, "another VM may have better luck");
    for (at, call) in due {
        envoy.settle(at, &call, ok(discovery_document(DEFAULT_ISSUER)));
    }
    envoy.run(&set(&[&key]));
    envoy.wait(seconds(1));
    envoy.run(&set(&[&key]));
    assert!(envoy.vms.iter_mut().all(|vm| vm.by(&key).passes()));
}

#[test]
fn a_vm_that_goes_while_it_fetches_gives_the_lease_back() {
    let mut envoy = Envoy::of(2);
    let [(gone, _)] = envoy.due()[..] else { panic!("one call") };
    assert_eq!(envoy.vms[1 - gone].authenticator.leases(), [], "it fetches nothing");
    envoy.leaves(gone);
    envoy.wait(millis(50));
    let due = envoy.due();
    assert_eq!(due.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1 - gone]);
}

#[test]
fn a_ration_that_one_vm_has_used_up_is_used_up_for_a_vm_that_has_asked_for_nothing() {
    let (mut envoy, old, new) = at_rest();
    for _ in 0..3 {
        let mut request = envoy.requests(&new).remove(0);
        assert_eq!(request.arrives(&mut envoy.vms[0]), HELD);
        assert_eq!(envoy.run(&set(&[&old])), 1);
        envoy.wait(millis(1100));
    }
    let mut request = envoy.requests(&new).remove(1);
    assert_eq!(request.arrives(&mut envoy.vms[1]), HELD);
    assert_eq!(envoy.due().len(), 0, "it takes over what the other VM fetched");
    envoy.metrics.take();
    assert_eq!(request.wakes(&mut envoy.vms[1]), HELD, "the kid is not there either");
    assert_eq!(envoy.due().len(), 0, "nothing is fetched");
    let rationed = "sa_authn.key_fetches.rationed.local".to_owned();
    assert_eq!(envoy.metrics.take(), [Change::Count(rationed, 1)]);
    assert_eq!(request.wakes(&mut envoy.vms[1]), UNAVAILABLE);
}

#[test]
fn whatever_stands_in_the_shared_entry_the_keys_are_fetched() {
    let key = key();
    let mut genuine = Envoy::of(1);
    genuine.run(&set(&[&key]));
    let (name, (entry, _)) = genuine.shared.iter().next().expect("an entry");
    let mut entries = vec![Vec::new(), vec![0; 10], vec![0xff; 500], b"{\"keys\":[]}".to_vec()];
    entries.extend((0..entry.len()).step_by(7).map(|end| entry[..end].to_vec()));
    for at in 0..80 {
        let mut changed = entry.clone();
        changed[at] ^= 0xff;
        entries.push(changed);
    }
    for planted in entries {
        let mut envoy = Envoy::of(2);
        envoy.shared.insert(name.clone(), (planted.clone(), 1));
        for _ in 0..10 {
            envoy.run(&set(&[&key]));
            envoy.wait(seconds(1));
        }
        assert!(envoy.vms.iter_mut().all(|vm| vm.by(&key).passes()), "{planted:?}");
    }
}

#[test]
fn shared_data_that_takes_no_entry_does_not_stop_anyone() {
    let (mut envoy, key) = (Envoy::of(2), key());
    envoy.shared.insert("full".to_owned(), (Vec::new(), 0));
    for _ in 0..40 {
        envoy.run(&set(&[&key]));
        envoy.wait(millis(50));
    }
    assert!(envoy.vms.iter_mut().all(|vm| vm.by(&key).passes()));
}

/// Three VMs, five seconds after the old key was fetched.
fn at_rest() -> (Envoy, SigningKey, SigningKey) {
    let (mut envoy, old, new) = (Envoy::of(3), key(), key());
    envoy.run(&set(&[&old]));
    envoy.wait(seconds(5));
    envoy.run(&set(&[&old]));
    (envoy, old, new)
}

// === impl Envoy ===

impl Envoy {
    fn of(vms: u64) -> Self {
        let vm = |holder| {
            let mut vm = core(json!({}));
            vm.authenticator.share_keys(holder);
            vm
        };
        Self {
            vms: (1..=vms).map(vm).collect(),
            shared: HashMap::new(),
            metrics: Metrics::default(),
        }
    }

    fn wait(&mut self, duration: std::time::Duration) {
        self.vms.iter_mut().for_each(|vm| vm.wait(duration));
    }

    /// One request with a token by this key at each VM.
    fn requests(&mut self, key: &SigningKey) -> Vec<Request> {
        self.vms.iter_mut().map(|vm| vm.request(&get("/", &token(key)))).collect()
    }

    /// Ticks every VM once: the calls that they send, as the shell would.
    fn due(&mut self) -> Vec<(usize, Callout)> {
        let mut calls = Vec::new();
        for at in 0..self.vms.len() {
            let now = self.vms[at].now;
            while let Some(due) = self.vms[at].authenticator.due(now) {
                let fetch = match &due.shared_key {
                    None => true,
                    Some(name) => self.consult(at, due.issuer, name),
                };
                let core = &mut self.vms[at].authenticator;
                calls.extend(fetch.then(|| core.fetch(due.issuer, now)).flatten().map(|c| (at, c)));
            }
        }
        calls
    }

    /// Whether it is this VM's turn to fetch.
    fn consult(&mut self, at: usize, issuer: usize, name: &str) -> bool {
        let now = self.vms[at].now;
        let core = &mut self.vms[at].authenticator;
        let entry = self.shared.get(name).map(|(entry, _)| entry.as_slice());
        match core.consult(issuer, entry, now) {
            Consultation::Settled(settled) => {
                self.metrics.fetched(&settled, now);
                false
            }
            Consultation::Wait => false,
            Consultation::Fetch => true,
            Consultation::Claim(_) if self.shared.contains_key("full") => {
                core.claim_lost(issuer, now);
                false
            }
            Consultation::Claim(entry) => {
                self.put(name, entry);
                true
            }
        }
    }

    fn put(&mut self, name: &str, entry: Vec<u8>) {
        let version = self.shared.get(name).map_or(0, |(_, version)| *version);
        self.shared.insert(name.to_owned(), (entry, version + 1));
    }

    /// Does what the shell does when a configuration is replaced.
    fn leaves(&mut self, at: usize) {
        for (issuer, name) in self.vms[at].authenticator.leases() {
            let (entry, _) = &self.shared[&name];
            let released = self.vms[at].authenticator.released(issuer, entry);
            self.put(&name, released.expect("a lease"));
        }
    }

    fn settle(&mut self, at: usize, call: &Callout, reply: Reply) {
        let Some(settled) = self.vms[at].reply(call, reply) else { return };
        let now = self.vms[at].now;
        let core = &mut self.vms[at].authenticator;
        let full = self.shared.contains_key("full");
        if let Some((name, entry)) = core.publication(settled.issuer, now).filter(|_| !full) {
            return self.put(&name, entry);
        }
        let Some(name) = core.shared_key(settled.issuer) else { return };
        let entry = self.shared.get(&name).map(|(entry, _)| entry.as_slice()).unwrap_or_default();
        if let Some(entry) = core.released(settled.issuer, entry) {
            self.put(&name, entry);
        }
    }

    /// Ticks and answers with these keys until all is quiet, and says how many calls that took.
    fn run(&mut self, keys: &str) -> usize {
        let mut count = 0;
        for _ in 0..10 {
            for (at, call) in self.due() {
                let body = match call.path.as_str() {
                    discovery::PATH => discovery_document(DEFAULT_ISSUER),
                    _ => keys.to_owned(),
                };
                self.settle(at, &call, ok(body));
                count += 1;
            }
            self.wait(millis(30));
        }
        count
    }
}
