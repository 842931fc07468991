# The image for a mesh, built by Docker; `cargo xtask image` makes it without a daemon, and always the same.
#
#   cargo xtask wasm && docker build --provenance=false -t REGISTRY/sa-authn:0.1.0 .
#
# Not more than this one layer: Istio looks for plugin.wasm in the last.
FROM scratch
COPY target/sa_authn.wasm /plugin.wasm
