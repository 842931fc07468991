//! The contexts of one VM, as Envoy numbers them: plugins (root contexts), and requests under way.
//!
//! A callback may run inside another: the end of a request that is refused comes while the refusal is sent. So
//! nothing here stays borrowed while the host is called, and a borrow that meets another all the same leaves the
//! request where it is.

use super::root::Root;
use super::state::State;
use crate::exchange::Exchange;
use crate::waiting::RequestId;
use foldhash::fast::FixedState;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

thread_local! {
    static CONTEXTS: Contexts = const {
        Contexts {
            plugins: RefCell::new(Vec::new()),
            newest: Cell::new(None),
            requests: RefCell::new(HashMap::with_hasher(FixedState::with_seed(0))),
        }
    };
}

struct Contexts {
    plugins: RefCell<Vec<Plugin>>,
    /// The request that began last: nearly always its headers are what comes next, and then it needs no entry in
    /// the table.
    newest: Cell<Option<(RequestId, Rc<State>)>>,
    requests: RefCell<Requests>,
}

/// Envoy numbers its contexts, and nobody else has a say in it, so that none can be chosen to collide.
type Requests = HashMap<RequestId, Request, FixedState>;

/// One image may be configured several times in one VM, and while a new configuration starts the old one
/// finishes its requests.
struct Plugin {
    id: u32,
    root: Rc<RefCell<Root>>,
    /// `None` without a configuration.
    state: Option<Rc<State>>,
}

struct Request {
    state: Rc<State>,
    progress: Progress,
}

/// Where a request is.
pub(super) enum Progress {
    /// It is not judged yet, or refused: nothing of it goes on.
    Stays,
    /// It waits for keys or a review.
    Waits(Box<Exchange>),
    /// It was let through, and what follows its headers goes the same way.
    Passed,
}

/// A context begins: a plugin's where `parent` is 0, else that of one of its requests.
pub(super) fn create(id: u32, parent: u32) {
    if parent == 0 {
        with_plugins(|plugins| {
            // A start that failed is tried again, with the same context.
            if plugins.iter().all(|plugin| plugin.id != id) {
                let root = Rc::new(RefCell::new(Root::new(id)));
                plugins.push(Plugin { id, root, state: None });
            }
        });
        return;
    }
    let plugin = |plugins: &mut Vec<Plugin>| {
        plugins.iter().find(|plugin| plugin.id == parent).and_then(|plugin| plugin.state.clone())
    };
    // Without a configuration there is nothing to judge it by, and it is refused as one that nobody knows.
    let Some(state) = with_plugins(plugin).flatten() else { return };
    if let Some((id, state)) = CONTEXTS.with(|contexts| contexts.newest.replace(Some((id, state))))
    {
        put(id, state, Progress::Stays);
    }
}

/// A context ends, a request's perhaps because its caller hung up.
pub(super) fn delete(id: u32) {
    if take_newest(id).is_some() {
        return;
    }
    let request = with_requests(|requests| match requests.is_empty() {
        true => None,
        false => requests.remove(&id),
    });
    match request.flatten() {
        Some(Request { state, progress: Progress::Waits(_) }) => state.forget(id),
        Some(_) => {}
        None => drop(with_plugins(|plugins| {
            let at = plugins.iter().position(|plugin| plugin.id == id);
            at.map(|at| plugins.swap_remove(at))
        })),
    }
}

/// Lets a plugin act. `None` when there is none of this number.
pub(super) fn with_root<T>(id: u32, act: impl FnOnce(&mut Root) -> T) -> Option<T> {
    let root = |plugins: &mut Vec<Plugin>| {
        plugins.iter().find(|plugin| plugin.id == id).map(|plugin| Rc::clone(&plugin.root))
    };
    let root = with_plugins(root).flatten()?;
    let mut root = root.try_borrow_mut().ok()?;
    Some(act(&mut root))
}

/// Shows `see` the state of each plugin in this VM, the newest first.
pub(super) fn each_state(see: impl FnMut(&State)) {
    let states = |plugins: &mut Vec<Plugin>| {
        plugins.iter().rev().filter_map(|plugin| plugin.state.clone()).collect::<Vec<_>>()
    };
    with_plugins(states).unwrap_or_default().iter().map(|state| &**state).for_each(see);
}

/// The requests that come from now on are judged by this.
pub(super) fn configured(id: u32, state: Rc<State>) {
    with_plugins(|plugins| {
        if let Some(plugin) = plugins.iter_mut().find(|plugin| plugin.id == id) {
            plugin.state = Some(state);
        }
    });
}

/// What a request is judged by that has not been yet.
pub(super) fn begin(id: RequestId) -> Option<Rc<State>> {
    take_newest(id).or_else(|| {
        with_requests(|requests| requests.remove(&id)).flatten().map(|request| request.state)
    })
}

/// What a request was judged by that goes on, or waits.
pub(super) fn state_of(id: RequestId) -> Option<Rc<State>> {
    let state =
        |requests: &mut Requests| requests.get(&id).map(|request| Rc::clone(&request.state));
    with_requests(state).flatten()
}

/// Whether a request was let through. One that nobody knows was not.
pub(super) fn has_passed(id: RequestId) -> bool {
    let passed = |requests: &mut Requests| {
        requests.get(&id).is_some_and(|request| matches!(request.progress, Progress::Passed))
    };
    with_requests(passed).unwrap_or(false)
}

/// Says where a request is, of which there was no more to say.
pub(super) fn put(id: RequestId, state: Rc<State>, progress: Progress) {
    with_requests(|requests| requests.insert(id, Request { state, progress }));
}

/// Says where a request is now; not of one that is gone.
pub(super) fn update(id: RequestId, progress: Progress) {
    with_requests(|requests| {
        if let Some(request) = requests.get_mut(&id) {
            request.progress = progress;
        }
    });
}

/// Takes up a request that waits; `None` when it is gone, or does not.
pub(super) fn take_up(id: RequestId) -> Option<Exchange> {
    with_requests(|requests| {
        let progress = &mut requests.get_mut(&id)?.progress;
        match std::mem::replace(progress, Progress::Stays) {
            Progress::Waits(exchange) => Some(*exchange),
            other => {
                *progress = other;
                None
            }
        }
    })
    .flatten()
}

fn take_newest(id: RequestId) -> Option<Rc<State>> {
    CONTEXTS.with(|contexts| match contexts.newest.take() {
        Some((newest, state)) if newest == id => Some(state),
        other => {
            contexts.newest.set(other);
            None
        }
    })
}

fn with_plugins<T>(act: impl FnOnce(&mut Vec<Plugin>) -> T) -> Option<T> {
    CONTEXTS.with(|contexts| contexts.plugins.try_borrow_mut().ok().map(|mut all| act(&mut all)))
}

fn with_requests<T>(act: impl FnOnce(&mut Requests) -> T) -> Option<T> {
    CONTEXTS.with(|contexts| contexts.requests.try_borrow_mut().ok().map(|mut all| act(&mut all)))
}
