#!/usr/bin/env bash
# Writes the images of the cluster as one OCI archive, without a daemon. ENVOYS has a line VERSION=FILE for each Envoy: an image of the proxy has one.
. "$(dirname "$0")/common.sh"
mapfile -t envoys <<< "$ENVOYS"
arguments=()
for envoy in "${envoys[@]}"; do arguments+=(--envoy "$envoy"); done
stamp=$(cat "$HERE/images.py" "$HERE/images.sh" "$BIN"/.istio "$BIN"/.httpbin <(stat -c %s "${envoys[@]#*=}") <(echo "${envoys[@]%%=*}") | sha256sum)
[ -f "$ARCHIVE" ] && [ "$(cat "$ARCHIVE.stamp" 2>/dev/null)" = "$stamp" ] && exit

if [ ! -f "$CACHE/base.tar" ]; then
  stage "base image (debootstrap)"
  rm -rf "$CACHE/base"
  debootstrap --variant=minbase --include=iptables,curl,ca-certificates,netcat-openbsd,openssl bookworm "$CACHE/base" > "$CACHE/debootstrap.log" 2>&1 ||
    die "debootstrap failed: see $CACHE/debootstrap.log"
  rm -rf "$CACHE"/base/var/cache/apt/* "$CACHE"/base/var/lib/apt/lists/* "$CACHE"/base/usr/share/{doc,man,locale}/*
  tar --numeric-owner -C "$CACHE/base" --exclude=./dev/* -cf "$CACHE/base.tar.part" .
  mv "$CACHE/base.tar.part" "$CACHE/base.tar"
  rm -rf "$CACHE/base"
fi
stage "images with Envoy ${envoys[*]%%=*}"
python3 "$HERE/images.py" mesh --archive "$ARCHIVE" --base "$CACHE/base.tar" --bin "$BIN" "${arguments[@]}" \
  --bootstrap "$(module_dir istio istio.io/istio)/tools/packaging/common/envoy_bootstrap.json"
echo "$stamp" > "$ARCHIVE.stamp"
