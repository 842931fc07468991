#!/usr/bin/env bash
# Writes the images of the cluster as one OCI archive, without a daemon. Envoy's binary is in ENVOY.
. "$(dirname "$0")/common.sh"
ARCHIVE=$CACHE/images-$ENVOY_VERSION.tar
stamp=$(cat "$HERE/images.py" "$HERE/images.sh" "$BIN"/.istio "$BIN"/.httpbin <(stat -c %s "$ENVOY") | sha256sum)
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
stage "images with Envoy $ENVOY_VERSION"
python3 "$HERE/images.py" --archive "$ARCHIVE" --base "$CACHE/base.tar" --bin "$BIN" --envoy "$ENVOY" --envoy-version "$ENVOY_VERSION" \
  --bootstrap "$(module_dir istio istio.io/istio)/tools/packaging/common/envoy_bootstrap.json"
echo "$stamp" > "$ARCHIVE.stamp"
