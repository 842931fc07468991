#!/usr/bin/env bash
# Adds Envoy Gateway to the running cluster: builds its program once, and installs its own chart. ENVOYS has one line VERSION=FILE, the Envoy of its proxies.
. "$(dirname "$0")/common.sh"
holder >/dev/null || die "the cluster is not up; \`cargo xtask cluster up\` starts it"
GATEWAY=github.com/envoyproxy/gateway
programs go/envoy-gateway "" $GATEWAY/cmd/envoy-gateway

archive=$CACHE/envoy-gateway.tar
envoy=${ENVOYS%%=*}
stamp=$(cat "$HERE/images.py" "$BIN/.envoy-gateway" <(stat -c %s "${ENVOYS#*=}") <(echo "$envoy") | sha256sum)
if [ ! -f "$archive" ] || [ "$(cat "$archive.stamp" 2>/dev/null)" != "$stamp" ]; then
  stage "images of Envoy Gateway with Envoy $envoy"
  python3 "$HERE/images.py" envoy-gateway --archive "$archive" --base "$CACHE/base.tar" --bin "$BIN" --envoy "$ENVOYS"
  echo "$stamp" > "$archive.stamp"
fi
import_images "$archive"

stage "Envoy Gateway"
charts=$(module_dir envoy-gateway $GATEWAY)/charts
# The Gateway API's own kinds are there, for Istio.
kubectl apply --server-side -f "$charts/gateway-helm/charts/crds/crds/generated" >> "$RUN/log/apply.log"
kubectl create namespace envoy-gateway-system >> "$RUN/log/apply.log"
# The chart of a release has these two in place of the variables.
sed 's#${GatewayImage}#docker.io/local/envoy-gateway:dev#; s#${GatewayImagePullPolicy}#IfNotPresent#' \
  "$charts/gateway-helm/values.tmpl.yaml" > "$RUN/cfg/envoy-gateway.yaml"
helm envoy-gateway-system install eg "$charts/gateway-helm" --values "$RUN/cfg/envoy-gateway.yaml" --values "$HERE/manifests/envoy-gateway.yaml" \
  --wait --timeout 180s
# Envoy Gateway pulls images without TLS only if the address of the registry is an IP address.
cat >> "$RUN/environment" <<E
CLUSTER_ENVOY_GATEWAY=$NODE_IP:5000
CLUSTER_ENVOY_GATEWAY_PROXY=docker.io/local/envoy:$envoy
E
stage "ready"
