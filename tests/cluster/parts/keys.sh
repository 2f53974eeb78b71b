# Who is who: a certificate authority, a key for every part, users.

# An authority that signs what is asked of it; its files are made once and are gone with the cluster.
write_keys() {
    (
        cd "$DIR/keys"
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
            -subj /CN=monday-test-authority -keyout ca.key -out ca.crt 2>/dev/null
        openssl genrsa -out accounts.key 2048 2>/dev/null
        openssl rsa -in accounts.key -pubout -out accounts.pub 2>/dev/null
    )
    key apiserver /CN=kube-apiserver "IP:127.0.0.1,DNS:localhost"
    key kubelet-client /O=system:masters/CN=kubelet-client
    key admin /O=system:masters/CN=admin
    key controller-manager /CN=system:kube-controller-manager
    key scheduler /CN=system:kube-scheduler
    key node /O=system:nodes/CN=system:node:node1 "IP:$NODE_IP"
    local who
    for who in admin controller-manager scheduler node; do kubeconfig "$who"; done
}

# key NAME SUBJECT [ALTERNATIVE NAMES]
key() {
    (
        cd "$DIR/keys"
        openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$2" -keyout "$1.key" -out "$1.csr" 2>/dev/null
        {
            echo 'extendedKeyUsage = clientAuth, serverAuth'
            [ -z "${3:-}" ] || echo "subjectAltName = $3"
        } >"$1.ext"
        openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile "$1.ext" -out "$1.crt" 2>/dev/null
        rm "$1.csr" "$1.ext"
    )
}

kubeconfig() {
    cat >"$DIR/$1.kubeconfig" <<YAML
apiVersion: v1
kind: Config
current-context: monday
contexts:
  - name: monday
    context: {cluster: monday, user: $1, namespace: default}
clusters:
  - name: monday
    cluster: {server: "$API", certificate-authority: $DIR/keys/ca.crt}
users:
  - name: $1
    user: {client-certificate: $DIR/keys/$1.crt, client-key: $DIR/keys/$1.key}
YAML
}

user() {
    key "$1" "${2:+/O=$2}/CN=$1"
    kubeconfig "$1"
    echo "$DIR/$1.kubeconfig"
}
