#!/usr/bin/env bash
# Builds every program of the cluster from its Go module into the cache. go/*/go.mod and go.sum pin the modules.
. "$(dirname "$0")/common.sh"

V=k8s.io/component-base/version
K=k8s.io/kubernetes/cmd
programs kubernetes "-X $V.gitVersion=$KUBERNETES -X $V.gitMajor=1 -X $V.gitMinor=36 -X $V.gitTreeState=clean -X $V.gitCommit=0" \
  $K/kube-apiserver $K/kube-controller-manager $K/kube-scheduler $K/kubelet $K/kube-proxy $K/kubectl
I=istio.io/istio
programs istio "" $I/pilot/cmd/pilot-discovery $I/pilot/cmd/pilot-agent $I/istioctl/cmd/istioctl
programs etcd "" go.etcd.io/etcd/server/v3
programs coredns "" github.com/coredns/coredns
programs registry "" github.com/distribution/distribution/v3/cmd/registry
programs helm "" helm.sh/helm/v3/cmd/helm
programs httpbin "" github.com/mccutchen/go-httpbin/v2/cmd/go-httpbin

# The first process of each pod, and of the cluster's process namespace: it reaps the others.
[ "$BIN/pause" -nt "$HERE/pause.c" ] || cc -static -O2 -o "$BIN/pause" "$HERE/pause.c"
