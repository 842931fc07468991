# Sourced by up.sh in the run directory: the cluster's certificates, signing keys and kubeconfigs.
openssl req -x509 -newkey rsa:2048 -nodes -keyout pki/ca.key -out pki/ca.crt -days 365 -subj /CN=kubernetes 2>/dev/null
cert() { # cert NAME SUBJECT EXTENSIONS
  openssl req -newkey rsa:2048 -nodes -keyout "pki/$1.key" -out "pki/$1.csr" -subj "$2" 2>/dev/null
  openssl x509 -req -in "pki/$1.csr" -CA pki/ca.crt -CAkey pki/ca.key -CAcreateserial -days 365 -out "pki/$1.crt" \
    -extfile <(printf '%b\n' "$3") 2>/dev/null
}
cert apiserver /CN=kube-apiserver "subjectAltName=DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,IP:$NODE_IP,IP:127.0.0.1,IP:10.96.0.1"
cert admin /O=system:masters/CN=admin "extendedKeyUsage=clientAuth"
cert kubelet /O=system:nodes/CN=system:node:node "extendedKeyUsage=clientAuth"
cert kubelet-server /O=system:nodes/CN=system:node:node "extendedKeyUsage=serverAuth\nsubjectAltName=DNS:node,IP:$NODE_IP"
cert front-proxy /CN=front-proxy "extendedKeyUsage=clientAuth"
# Signing keys of ServiceAccount tokens, of every type that the API server supports.
openssl genrsa -out pki/sa1.key 2048 2>/dev/null
openssl genrsa -out pki/sa2.key 2048 2>/dev/null
openssl genrsa -out pki/rsa4096.key 4096 2>/dev/null
for bits in 256 384 521; do
  curve=$([ $bits = 256 ] && echo prime256v1 || echo secp${bits}r1)
  openssl ecparam -name $curve -genkey -noout -out pki/es$bits.key
done
for key in sa1 sa2 rsa4096 es256 es384 es521; do openssl pkey -in pki/$key.key -pubout -out pki/$key.pub; done

kubeconfig() { # kubeconfig USER SERVER
  base64() { command base64 -w 0 "$1"; }
  cat <<K
apiVersion: v1
kind: Config
clusters: [{ name: sa-authn, cluster: { server: "$2", certificate-authority-data: $(base64 pki/ca.crt) } }]
users: [{ name: $1, user: { client-certificate-data: $(base64 "pki/$1.crt"), client-key-data: $(base64 "pki/$1.key") } }]
contexts: [{ name: sa-authn, context: { cluster: sa-authn, user: $1 } }]
current-context: sa-authn
K
}
umask 077
kubeconfig admin "https://127.0.0.1:$API_PORT" > kubeconfig
kubeconfig admin "https://$NODE_IP:6443" > admin.kubeconfig
kubeconfig kubelet "https://$NODE_IP:6443" > kubelet.kubeconfig
umask 022
