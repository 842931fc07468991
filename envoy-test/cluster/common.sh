# Sourced by the other scripts: places, versions and the programs that they share.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# Binaries and images. Outside target/, so that `cargo clean` does not remove half an hour of building.
CACHE=${SA_AUTHN_CLUSTER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sa-authn-cluster}
BIN=$CACHE/bin
# Everything of a running cluster; `down` removes it.
RUN=$CACHE/run

ARCHIVE=$CACHE/images.tar
KUBERNETES=v1.36.3
# The Envoy of proxies without the annotation sidecar.istio.io/proxyImage. cargo xtask downloads the Envoys and sets ENVOYS.
ENVOY_VERSION=${ENVOY_VERSION:-1.40.0}

# Addresses in the cluster's network namespace, and what forwards to them at 127.0.0.1 of the host.
NODE_IP=10.78.0.1
API_PORT=16443
REGISTRY_PORT=16500
# The name under which pods reach the registry.
REGISTRY=registry.example.com:5000

die() { echo "error: $*" >&2; exit 1; }

# Tells what happens now, and how long the cluster has been starting.
stage() { printf '%4d s  %s\n' "$SECONDS" "$*"; }

# programs FOLDER LDFLAGS PACKAGE...: builds programs of the Go module in a folder into BIN, if the module's files or the toolchain have changed.
programs() {
  local module=$HERE/$1 flags=$2 stamp is; shift 2
  stamp=$BIN/.$(basename "$module")
  is=$(cat "$module/go.mod" "$module/go.sum" <(go version) <(echo "$flags $*") | sha256sum)
  [ "$(cat "$stamp" 2>/dev/null)" != "$is" ] || return 0
  stage "building $*"
  mkdir -p "$BIN"
  (cd "$module" && GOFLAGS=-mod=readonly CGO_ENABLED=0 GOWORK=off go build -trimpath -ldflags "-s -w $flags" -o "$BIN/" "$@")
  echo "$is" > "$stamp"
}

# The directory of a Go module that a build uses, in Go's module cache.
module_dir() { (cd "$HERE/go/$1" && go list -m -f '{{.Dir}}' "$2"); }

# The process that holds the cluster's namespaces. Its start time is recorded too, because a process id can be reused.
holder() {
  [ -s "$RUN/holder" ] || return 1
  local pid started
  read -r pid started < "$RUN/holder"
  [ "$(started "$pid")" = "$started" ] && echo "$pid"
}
started() { cut -d ' ' -f 22 "/proc/$1/stat" 2>/dev/null || true; }

# Runs a program in the cluster's namespaces for processes, mounts and the network.
inside() { nsenter --target "$(holder)" --mount --pid --net -- "$@"; }
# Starts a daemon there: a name, and its program.
run() { inside "$HERE/daemon.sh" "$RUN" "$@"; }

# helm NAMESPACE COMMAND...
helm() {
  local namespace=$1; shift
  KUBECONFIG=$RUN/kubeconfig "$BIN/helm" --namespace "$namespace" "$@" >> "$RUN/log/helm.log" 2>&1 || die "helm $1 $2: $(tail -3 "$RUN/log/helm.log")"
}

# Loads an archive of images into the node.
import_images() { ctr --address "$RUN/containerd.sock" --namespace k8s.io images import "$1" >> "$RUN/log/import.log"; }

kubectl() { KUBECONFIG=$RUN/kubeconfig "$BIN/kubectl" "$@"; }

# until_ready SECONDS WHAT COMMAND...: polls a condition, and fails with the reason.
until_ready() {
  local limit=$1 what=$2 start=$SECONDS; shift 2
  until "$@" >"$RUN/log/last-check" 2>&1; do
    [ $((SECONDS - start)) -lt "$limit" ] || { cat "$RUN/log/last-check" >&2; die "$what: not ready after $limit s; the logs are in $RUN/log"; }
    sleep 0.5
  done
}
