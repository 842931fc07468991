#!/usr/bin/env bash
# Starts a Kubernetes of one node and Istio. All processes are in namespaces of their own (processes, mounts, network), and all files
# are in the cache: when the first process of the process namespace ends, the kernel removes everything except the cgroups.
. "$(dirname "$0")/common.sh"
! holder >/dev/null || die "the cluster is already up; \`cargo xtask cluster down\` stops it"
for port in $API_PORT $REGISTRY_PORT; do
  ! (: < "/dev/tcp/127.0.0.1/$port") 2>/dev/null || die "127.0.0.1:$port is in use by another program"
done
rm -rf "$RUN"
mkdir -p "$RUN"/{pid,log,pki,cfg,cni,registry}
cd "$RUN"

# `down` removes these cgroups, if they are not another kubelet's.
for root in /sys/fs/cgroup /sys/fs/cgroup/*; do
  [ ! -f "$root/cgroup.procs" ] || [ -d "$root/kubepods" ] || echo "$root/kubepods"
done > cgroups

stage "namespaces"
setsid unshare --mount --net --pid --fork --mount-proc "$BIN/pause" < /dev/null > log/holder.log 2>&1 &
parent=$!
until_ready 10 "the namespaces" pgrep -P $parent
pid=$(pgrep -P $parent)
echo "$pid $(started "$pid")" > holder
inside sh -e <<S
mount --make-rshared /
# What containerd, the kubelet and CNI write to fixed places stays in the namespace.
for dir in /run /var/lib /var/log; do mount -t tmpfs tmpfs \$dir; done
ip link set lo up
ip link add node0 type bridge
ip addr add $NODE_IP/24 dev node0
ip link set node0 up
ip route add default dev node0
sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.forwarding=1
S

stage "certificates"
. "$HERE/pki.sh"
. "$HERE/config.sh"

stage "etcd and the API server"
run etcd "$BIN/server" --data-dir etcd --unsafe-no-fsync --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379
"$HERE/api-server.sh" start
# The only processes with the host's network: 127.0.0.1 leads to the API server and to the registry.
forward() {
  nsenter --target "$(holder)" --mount --pid -- "$HERE/daemon.sh" "$RUN" "forward-$1" \
    socat "TCP-LISTEN:$1,bind=127.0.0.1,reuseaddr,fork" "EXEC:nsenter --target 1 --net -- socat STDIO TCP\\:$NODE_IP\\:$2"
}
forward $API_PORT 6443
forward $REGISTRY_PORT 5000
until_ready 10 "the API server at 127.0.0.1:$API_PORT" kubectl get --raw /readyz
run scheduler "$BIN/kube-scheduler" --kubeconfig admin.kubeconfig --authentication-kubeconfig admin.kubeconfig \
  --authorization-kubeconfig admin.kubeconfig --leader-elect=false

stage "containerd and the images"
run containerd containerd --config cfg/containerd.toml
until_ready 20 containerd ctr --address "$RUN/containerd.sock" version
import_images "$ARCHIVE"
stage "the node"
run kubelet "$BIN/kubelet" --config cfg/kubelet.yaml --kubeconfig kubelet.kubeconfig --hostname-override node --node-ip $NODE_IP --root-dir "$RUN/kubelet"
run kube-proxy "$BIN/kube-proxy" --config cfg/kube-proxy.yaml
run coredns "$BIN/coredns" -conf cfg/Corefile
run registry "$BIN/registry" serve cfg/registry.yaml
kubectl apply -f "$HERE/manifests/dns.yaml" > log/apply.log
until_ready 60 "the node" kubectl wait --for=condition=Ready node/node --timeout=1s

stage "Istio"
kubectl apply --server-side -f "$(module_dir istio sigs.k8s.io/gateway-api)/config/crd/standard" >> log/apply.log 2>&1
kubectl create namespace istio-system >> log/apply.log
CHARTS=$(module_dir istio istio.io/istio)/manifests/charts
PROXY=docker.io/local/proxyv2:$ENVOY_VERSION
helm istio-system install base "$CHARTS/base"
helm istio-system install istiod "$CHARTS/istio-control/istio-discovery" --values "$HERE/manifests/istiod.yaml" \
  --set "global.proxy.image=$PROXY,global.proxy_init.image=$PROXY" --wait --timeout 180s
# What the tests read: see src/lib.rs.
cat > environment <<E
KUBECONFIG=$RUN/kubeconfig
CLUSTER_REGISTRY=127.0.0.1:$REGISTRY_PORT
CLUSTER_PULL_REGISTRY=$REGISTRY
CLUSTER_CONTROL_PLANE=$RUN
E
# With ENVOY_PATH there is only one Envoy.
[ "$(wc -l <<< "$ENVOYS")" = 1 ] || sed 's#=.*##; s#^#docker.io/local/proxyv2:#' <<< "$ENVOYS" | paste -s -d , | sed 's#^#CLUSTER_PROXIES=#' >> environment
stage "ready"
