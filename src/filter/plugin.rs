//! The root context: one configuration of the filter in one VM.

use super::connection::property;
use super::effects::Driver;
use super::request::Request;
use crate::core::Event;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType};
use std::cell::RefCell;
use std::rc::{Rc, Weak};

/// The root context.
pub(super) struct Plugin(Rc<Driver>);

thread_local! {
    /// The configurations of this VM, the newest last: while a new one starts, an earlier one finishes its requests.
    static DRIVERS: RefCell<Vec<Weak<Driver>>> = const { RefCell::new(Vec::new()) };
}

// === impl Plugin ===

impl Plugin {
    pub(super) fn new(id: u32) -> Self {
        let driver = Rc::new(Driver::new(id));
        DRIVERS.with_borrow_mut(|drivers| {
            drivers.retain(|driver| driver.strong_count() > 0);
            drivers.push(Rc::downgrade(&driver));
        });
        Self(driver)
    }

    /// Takes over from the other configurations in this VM, the newest first.
    fn take_over(&self) {
        let drivers: Vec<_> =
            DRIVERS.with_borrow(|all| all.iter().rev().filter_map(Weak::upgrade).collect());
        for earlier in drivers.iter().filter(|driver| !Rc::ptr_eq(driver, &self.0)) {
            earlier.with_core(|earlier| self.0.pass_event(Event::ConfigurationReplaces(earlier)));
        }
    }
}

impl Context for Plugin {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, _: usize) {
        self.0.call_ended(token, headers, body);
    }
}

impl RootContext for Plugin {
    fn on_configure(&mut self, _: usize) -> bool {
        let json = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX);
        // Without a configuration the host gives no bytes.
        let json = json.ok().map(Option::unwrap_or_default);
        let root_id = property(&["plugin_root_id"]);
        let accepted = self.0.load_configuration(json.as_deref(), root_id.as_deref());
        if accepted {
            self.take_over();
        }
        accepted
    }

    fn on_tick(&mut self) {
        self.0.pass_event(Event::Tick);
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request::new(id, Rc::clone(&self.0))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// The configuration has been replaced, and the last of its requests is over.
impl Drop for Plugin {
    fn drop(&mut self) {
        self.0.pass_event(Event::ConfigurationRemoved);
    }
}
