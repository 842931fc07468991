# Sourced by up.sh in the run directory: the configuration files of the cluster's programs.
cat > cfg/audit.yaml <<'C'
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- { level: Metadata, nonResourceURLs: ["/openid/*", "/.well-known/*"] }
- { level: Request, resources: [{ group: authentication.k8s.io, resources: [tokenreviews] }] }
- { level: None }
C
# The flags of the API server that tests change: api-server.sh reads them at each start.
cat > cfg/tokens.flags <<C
--service-account-issuer=https://kubernetes.default.svc.cluster.local
--service-account-key-file=pki/sa1.pub
--service-account-signing-key-file=pki/sa1.key
C
cat > cni/10-pods.conflist <<'C'
{ "cniVersion": "1.0.0", "name": "pods", "plugins": [
  { "type": "ptp", "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.244.0.0/24" }]], "routes": [{ "dst": "0.0.0.0/0" }] } },
  { "type": "portmap", "capabilities": { "portMappings": true } }
] }
C
# restrict_oom_score_adj: runc fails where a negative oom_score_adj is not allowed, as in many containers.
cat > cfg/containerd.toml <<C
version = 2
root = "$RUN/containerd/root"
state = "$RUN/containerd/state"
[grpc]
address = "$RUN/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "$RUN/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "docker.io/local/pause:1"
disable_apparmor = true
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "$RUN/cni"
C
echo "nameserver $NODE_IP" > cfg/resolv.conf
cat > cfg/kubelet.yaml <<C
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
failSwapOn: false
containerRuntimeEndpoint: unix://$RUN/containerd.sock
authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: $RUN/pki/ca.crt } }
authorization: { mode: Webhook }
tlsCertFile: $RUN/pki/kubelet-server.crt
tlsPrivateKeyFile: $RUN/pki/kubelet-server.key
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
resolvConf: $RUN/cfg/resolv.conf
volumePluginDir: $RUN/kubelet-plugins
podLogsDir: $RUN/pod-logs
# No pod is evicted, and no image removed, on a machine that is almost full.
evictionHard: { memory.available: "0%", nodefs.available: "0%", imagefs.available: "0%", nodefs.inodesFree: "0%" }
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
enforceNodeAllocatable: []
readOnlyPort: 0
syncFrequency: 10s
C
cat > cfg/kube-proxy.yaml <<C
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: { kubeconfig: $RUN/admin.kubeconfig }
mode: iptables
clusterCIDR: 10.244.0.0/16
hostnameOverride: node
bindAddress: $NODE_IP
# These are sysctls of the host.
conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s }
C
cat > cfg/Corefile <<C
.:53 {
  bind $NODE_IP
  errors
  hosts {
    $NODE_IP ${REGISTRY%:*}
    fallthrough
  }
  kubernetes cluster.local in-addr.arpa {
    kubeconfig $RUN/admin.kubeconfig
  }
  cache 5
}
C
cat > cfg/registry.yaml <<C
version: 0.1
storage: { filesystem: { rootdirectory: $RUN/registry }, delete: { enabled: true } }
http: { addr: "$NODE_IP:5000" }
log: { level: warn }
C
