#!/usr/bin/env bash
# Builds every program of the cluster from its Go module into the cache. The go.mod and go.sum of each pin its dependencies.
. "$(dirname "$0")/common.sh"

V=k8s.io/component-base/version
K=k8s.io/kubernetes/cmd
programs go/kubernetes "-X $V.gitVersion=$KUBERNETES -X $V.gitMajor=1 -X $V.gitMinor=36 -X $V.gitTreeState=clean -X $V.gitCommit=0" \
  $K/kube-apiserver $K/kube-controller-manager $K/kube-scheduler $K/kubelet $K/kube-proxy $K/kubectl
I=istio.io/istio
programs go/istio "" $I/pilot/cmd/pilot-discovery $I/pilot/cmd/pilot-agent $I/istioctl/cmd/istioctl
programs go/etcd "" go.etcd.io/etcd/server/v3
programs go/coredns "" github.com/coredns/coredns
programs go/registry "" github.com/distribution/distribution/v3/cmd/registry
programs ../../install/tools "" helm.sh/helm/v3/cmd/helm
programs go/httpbin "" github.com/mccutchen/go-httpbin/v2/cmd/go-httpbin

# The first process of each pod, and of the cluster's process namespace: it reaps the others.
[ "$BIN/pause" -nt "$HERE/pause.c" ] || cc -static -O2 -o "$BIN/pause" "$HERE/pause.c"
