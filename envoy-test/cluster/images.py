#!/usr/bin/env python3
"""Writes the cluster's images as one OCI archive: layers, configurations, manifests and an index."""

import argparse
import hashlib
import io
import json
import os
import platform
import tarfile

OCI = "application/vnd.oci.image"
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]


class Archive:
    """An OCI layout in a tar file. Blobs that images share are written once."""

    def __init__(self, path):
        self.path, self.tar, self.seen, self.manifests = path, tarfile.open(path + ".part", "w"), set(), []

    def add(self, name, data):
        info = tarfile.TarInfo(name)
        info.size = len(data)
        self.tar.addfile(info, io.BytesIO(data))

    def blob(self, data, media_type):
        digest = hashlib.sha256(data).hexdigest()
        if digest not in self.seen:
            self.seen.add(digest)
            self.add(f"blobs/sha256/{digest}", data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    def image(self, name, layers, **config):
        layers = [self.blob(layer, f"{OCI}.layer.v1.tar") for layer in layers]
        config = {
            "architecture": ARCHITECTURE,
            "os": "linux",
            "config": config,
            # Layers are not compressed, so these are the digests of the blobs.
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
        }
        config = self.blob(json.dumps(config).encode(), f"{OCI}.config.v1+json")
        manifest = {"schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json", "config": config, "layers": layers}
        manifest = self.blob(json.dumps(manifest).encode(), manifest["mediaType"])
        self.manifests.append({**manifest, "annotations": {"io.containerd.image.name": name}})

    def close(self):
        index = {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": self.manifests}
        self.add("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        self.add("index.json", json.dumps(index).encode())
        self.tar.close()
        os.rename(self.path + ".part", self.path)


def layer(files, directories=()):
    """A layer with these programs (path in the image: file), readable files (path ending in .json), and writable folders."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for path in directories:
            info = tarfile.TarInfo(path)
            info.type, info.mode = tarfile.DIRTYPE, 0o777
            tar.addfile(info)
        for path, source in files.items():
            info = tarfile.TarInfo(path)
            info.mode = 0o644 if path.endswith(".json") else 0o755
            with open(source, "rb") as file:
                info.size = os.fstat(file.fileno()).st_size
                tar.addfile(info, file)
    return data.getvalue()


def mesh(archive, base, o):
    """The images of Istio's proxies and control plane, and of the example."""
    agent = layer(
        {
            "usr/local/bin/pilot-agent": f"{o.bin}/pilot-agent",
            "var/lib/istio/envoy/envoy_bootstrap_tmpl.json": o.bootstrap,
        },
        ["etc/istio/proxy", "var/lib/istio/data"],
    )
    for version, envoy in o.envoy:
        layers = [base, agent, layer({"usr/local/bin/envoy": envoy})]
        archive.image(f"docker.io/local/proxyv2:{version}", layers, Entrypoint=["/usr/local/bin/pilot-agent"])
    pilot = layer({"usr/local/bin/pilot-discovery": f"{o.bin}/pilot-discovery"})
    archive.image(
        "docker.io/local/pilot:dev", [base, pilot], Entrypoint=["/usr/local/bin/pilot-discovery"], User="1337:1337"
    )
    archive.image("docker.io/local/pause:1", [layer({"pause": f"{o.bin}/pause"})], Entrypoint=["/pause"])
    # The names that istio/example uses, for the same programs.
    httpbin = layer({"bin/go-httpbin": f"{o.bin}/go-httpbin"})
    archive.image("docker.io/mccutchen/go-httpbin:v2.15.0", [httpbin], Entrypoint=["/bin/go-httpbin"])
    archive.image("docker.io/curlimages/curl:8.11.1", [base], User="100")


def envoy_gateway(archive, base, o):
    """The images of Envoy Gateway and of its proxies."""
    program = layer({"usr/local/bin/envoy-gateway": f"{o.bin}/envoy-gateway"}, ["var/lib/eg"])
    user = "65532:65532"
    archive.image("docker.io/local/envoy-gateway:dev", [base, program], Entrypoint=["/usr/local/bin/envoy-gateway"], User=user)
    for version, envoy in o.envoy:
        proxy = layer({"usr/local/bin/envoy": envoy})
        archive.image(f"docker.io/local/envoy:{version}", [base, proxy], Entrypoint=["/usr/local/bin/envoy"], User=user)


def main():
    options = argparse.ArgumentParser(description=__doc__)
    groups = {"mesh": mesh, "envoy-gateway": envoy_gateway}
    options.add_argument("group", choices=groups)
    for name in ("archive", "base", "bin"):
        options.add_argument(f"--{name}", required=True)
    options.add_argument("--bootstrap", help="Envoy's bootstrap template of Istio")
    options.add_argument("--envoy", required=True, action="append", metavar="VERSION=FILE")
    o = options.parse_args()
    with open(o.base, "rb") as file:
        base = file.read()
    archive = Archive(o.archive)
    o.envoy = [envoy.split("=", 1) for envoy in o.envoy]
    groups[o.group](archive, base, o)
    archive.close()


main()
