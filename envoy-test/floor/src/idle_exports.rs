//! The other callbacks that the SDK for Rust exports, whether or not a filter does anything in them.

macro_rules! idle {
    ($($name:ident($($parameter:ident),*) -> $answer:literal)*) => {
        $(
            #[doc = "Does nothing."]
            #[unsafe(no_mangle)]
            pub extern "C" fn $name($($parameter: u32),*) -> u32 {
                $answer
            }
        )*
    };
    ($($name:ident($($parameter:ident),*))*) => {
        $(
            #[doc = "Does nothing."]
            #[unsafe(no_mangle)]
            pub extern "C" fn $name($($parameter: u32),*) {}
        )*
    };
}

idle! {
    proxy_on_vm_start(_root, _size) -> 1
    proxy_on_done(_context) -> 1
    proxy_on_new_connection(_context) -> 0
    proxy_on_downstream_data(_context, _size, _end) -> 0
    proxy_on_upstream_data(_context, _size, _end) -> 0
    proxy_on_request_body(_context, _size, _end) -> 0
    proxy_on_request_trailers(_context, _count) -> 0
    proxy_on_response_headers(_context, _count, _end) -> 0
    proxy_on_response_body(_context, _size, _end) -> 0
    proxy_on_response_trailers(_context, _count) -> 0
}

idle! {
    proxy_on_context_create(_context, _parent)
    proxy_on_log(_context)
    proxy_on_delete(_context)
    proxy_on_tick(_root)
    proxy_on_queue_ready(_root, _queue)
    proxy_on_downstream_connection_close(_context, _peer)
    proxy_on_upstream_connection_close(_context, _peer)
    proxy_on_http_call_response(_context, _token, _headers, _body, _trailers)
    proxy_on_grpc_receive_initial_metadata(_context, _token, _headers)
    proxy_on_grpc_receive(_context, _token, _size)
    proxy_on_grpc_receive_trailing_metadata(_context, _token, _trailers)
    proxy_on_grpc_close(_context, _token, _status)
    proxy_on_foreign_function(_root, _function, _size)
}
