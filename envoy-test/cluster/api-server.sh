#!/usr/bin/env bash
# api-server.sh start | kill | ready: starts the API server with the flags of cfg/tokens.flags, and then the controller manager; or kills the
# API server (SIGTERM would keep watches open for a minute).
. "$(dirname "$0")/common.sh"
cd "$RUN"
ready() { inside "$BIN/kubectl" --kubeconfig "$RUN/admin.kubeconfig" get --raw /readyz; }
# kill_daemon NAME: kills this daemon, if there is one, and waits until it is gone.
kill_daemon() {
  [ -e "pid/$1" ] || return 0
  inside sh -c 'pid=$(cat "$0"); kill -KILL $pid 2>/dev/null; while kill -0 $pid 2>/dev/null; do sleep 0.1; done' "$RUN/pid/$1"
}
case ${1:-} in
  start)
    run apiserver "$BIN/kube-apiserver" $(cat cfg/tokens.flags) \
      --etcd-servers=http://127.0.0.1:2379 --advertise-address=$NODE_IP --bind-address=0.0.0.0 --secure-port=6443 --anonymous-auth=false \
      --tls-cert-file=pki/apiserver.crt --tls-private-key-file=pki/apiserver.key --client-ca-file=pki/ca.crt \
      --service-cluster-ip-range=10.96.0.0/16 --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged \
      --kubelet-client-certificate=pki/admin.crt --kubelet-client-key=pki/admin.key --kubelet-preferred-address-types=InternalIP \
      --audit-log-path=log/audit.log --audit-policy-file=cfg/audit.yaml \
      --requestheader-client-ca-file=pki/ca.crt --proxy-client-cert-file=pki/front-proxy.crt --proxy-client-key-file=pki/front-proxy.key \
      --requestheader-allowed-names=front-proxy --requestheader-username-headers=X-Remote-User \
      --requestheader-group-headers=X-Remote-Group --requestheader-extra-headers-prefix=X-Remote-Extra-
    until_ready 180 "the API server" ready
    # A usual cluster's controller manager loses its lease in an outage, ends, and is started anew. One that lived on sometimes
    # waited two minutes and more to update EndpointSlices ("EndpointSlice informer cache is out of date").
    kill_daemon controller-manager
    run controller-manager "$BIN/kube-controller-manager" --kubeconfig admin.kubeconfig \
      --authentication-kubeconfig admin.kubeconfig --authorization-kubeconfig admin.kubeconfig \
      --service-account-private-key-file pki/sa1.key --root-ca-file pki/ca.crt --cluster-signing-cert-file pki/ca.crt \
      --cluster-signing-key-file pki/ca.key --use-service-account-credentials --leader-elect=false \
      --allocate-node-cidrs --cluster-cidr=10.244.0.0/16 --service-cluster-ip-range=10.96.0.0/16 \
      --node-monitor-grace-period=10m ;; # Longer than any outage of a test: a node that is not ready has no endpoints.
  kill) kill_daemon apiserver ;;
  ready) ready > log/last-check 2>&1 ;;
  *) die "usage: api-server.sh start | kill | ready" ;;
esac
