# The six parts: their settings, command lines, start and end.

admin() { reach "$CACHE/kubectl" --kubeconfig "$DIR/admin.kubeconfig" "$@"; }
containers() { inside ctr --address "$DIR/sockets/containerd" --namespace k8s.io "$@"; }

write_settings() {
    cat >"$DIR/containerd.toml" <<TOML
version = 2
root = "$DIR/containerd/root"
state = "$DIR/containerd/state"

[grpc]
address = "$DIR/sockets/containerd"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "monday.test/pause:1"
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "$DIR/cni"
TOML
    cat >"$DIR/cni/pods.conflist" <<JSON
{
  "cniVersion": "0.4.0",
  "name": "pods",
  "plugins": [{
    "type": "bridge",
    "bridge": "pods0",
    "isGateway": true,
    "ipam": {
      "type": "host-local",
      "dataDir": "$DIR/cni/addresses",
      "ranges": [[{"subnet": "$POD_RANGE", "rangeStart": "${POD_RANGE%.*}.10", "gateway": "$NODE_IP"}]]
    }
  }]
}
JSON
    # A node on a machine that is busy with something else: nothing is reserved and nothing is evicted.
    cat >"$DIR/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $NODE_IP
containerRuntimeEndpoint: unix://$DIR/sockets/containerd
tlsCertFile: $DIR/keys/node.crt
tlsPrivateKeyFile: $DIR/keys/node.key
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: false}
  x509: {clientCAFile: $DIR/keys/ca.crt}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
localStorageCapacityIsolation: false
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 1Mi, nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%}
nodeStatusUpdateFrequency: 5s
resolvConf: ""
volumePluginDir: $DIR/kubelet/plugins
maxPods: 200
YAML
}

# command_of PART: its command line, into the array `command`.
command_of() {
    case $1 in
        etcd)
            command=(etcd --data-dir "$DIR/etcd" --unsafe-no-fsync
                --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379
                --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380
                --initial-cluster default=http://127.0.0.1:2380)
            ;;
        apiserver)
            # Pods get no token: none of ours asks for one, and admission would wait for accounts.
            command=("$CACHE/kube-apiserver" --etcd-servers http://127.0.0.1:2379 --secure-port 6443
                --bind-address 127.0.0.1 --advertise-address "$NODE_IP" --endpoint-reconciler-type none
                --service-cluster-ip-range "$SERVICE_RANGE" --authorization-mode Node,RBAC
                --disable-admission-plugins ServiceAccount --allow-privileged
                --client-ca-file "$DIR/keys/ca.crt"
                --tls-cert-file "$DIR/keys/apiserver.crt" --tls-private-key-file "$DIR/keys/apiserver.key"
                --kubelet-certificate-authority "$DIR/keys/ca.crt" --kubelet-preferred-address-types InternalIP
                --kubelet-client-certificate "$DIR/keys/kubelet-client.crt" --kubelet-client-key "$DIR/keys/kubelet-client.key"
                --service-account-issuer "$API" --service-account-key-file "$DIR/keys/accounts.pub"
                --service-account-signing-key-file "$DIR/keys/accounts.key")
            ;;
        controller-manager)
            command=("$CACHE/kube-controller-manager" --kubeconfig "$DIR/controller-manager.kubeconfig"
                --leader-elect=false --bind-address 127.0.0.1 --use-service-account-credentials
                --service-account-private-key-file "$DIR/keys/accounts.key" --root-ca-file "$DIR/keys/ca.crt")
            ;;
        scheduler)
            command=("$CACHE/kube-scheduler" --kubeconfig "$DIR/scheduler.kubeconfig" --leader-elect=false
                --bind-address 127.0.0.1)
            ;;
        containerd) command=(containerd --config "$DIR/containerd.toml") ;;
        kubelet)
            command=("$CACHE/kubelet" --config "$DIR/kubelet.yaml" --kubeconfig "$DIR/node.kubeconfig"
                --root-dir "$DIR/kubelet" --hostname-override node1 --node-ip "$NODE_IP")
            ;;
        *) fail "there is no part $1; there are: ${PARTS[*]}" ;;
    esac
}

lives() { [ -s "$DIR/pid/$1" ] && inside kill -0 "$(cat "$DIR/pid/$1")" 2>/dev/null; }

# In a session of its own, for a Ctrl-C is not meant for it; the shell leaves its number (as the cluster counts) and
# becomes the part.
start() {
    local command
    command_of "$1"
    ! lives "$1" || return 0
    inside setsid sh -c 'echo "$$" >"$0/pid/$1"; log=$0/log/$1; shift; exec "$@" >>"$log" 2>&1' \
        "$DIR" "$1" "${command[@]}" </dev/null >/dev/null 2>&1 5<&- &
}

# stop PART SIGNAL: until it is gone. The API server, asked to, waits for open forwards; ten seconds are enough.
stop() {
    local command
    command_of "$1"
    lives "$1" || return 0
    inside sh -c '
        kill "-$1" "$0"
        for i in $(seq 500); do kill -0 "$0" 2>/dev/null || exit 0; sleep 0.02; done
        kill -KILL "$0"
    ' "$(cat "$DIR/pid/$1")" "$2" || true
    rm -f "$DIR/pid/$1"
}
