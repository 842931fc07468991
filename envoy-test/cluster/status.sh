#!/usr/bin/env bash
# Says whether the cluster is up, and how to use it. With --quiet, only the exit code says it.
. "$(dirname "$0")/common.sh"
holder >/dev/null || { echo "the cluster is not up; \`cargo xtask cluster up\` starts it"; exit 1; }
[ "${1:-}" != --quiet ] || exit 0
kubectl get nodes
kubectl get pods --all-namespaces
cat <<S

  export KUBECONFIG=$RUN/kubeconfig PATH=$BIN:\$PATH      # kubectl, helm, istioctl

The registry is 127.0.0.1:$REGISTRY_PORT from this machine, and $REGISTRY from pods.

To push the filter's image, and to install the example with it:

  cargo xtask image
  skopeo copy --preserve-digests --dest-tls-verify=false oci:target/image:0.1.0 docker://127.0.0.1:$REGISTRY_PORT/sa-authn:0.1.0
  sed 's#registry.example.com/#$REGISTRY/#' istio/wasmplugin-sidecar.yaml | kubectl apply -f istio/example/ -f istio/api-server-sidecar.yaml -f -
S
