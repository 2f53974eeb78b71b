# The namespaces that hold the cluster together, and its end.

# Its first process, as this process namespace numbers it.
init() { cut -d' ' -f1 "$DIR/pid/init"; }

# When a process was started (proc_pid_stat(5), field 22): together with its number it names one process for ever.
started() { sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

alive() {
    local pid since
    read -r pid since 2>/dev/null <"$DIR/pid/init" || return 1
    [ -n "$since" ] && [ "$(started "$pid")" = "$since" ] && [ "$(ps -o stat= -p "$pid")" != Z ]
}

# Run in all of its namespaces; `reach` in its network only.
inside() { nsenter -t "$(init)" -m -p -n -- "$@"; }
reach() { nsenter -t "$(init)" -n -- "$@"; }

# What the first process does: the parts find their usual folders empty and their own, then it waits (and so reaps) until
# the lifeline ends, or for ever.
first_process='
    mount -t proc proc /proc
    for folder in /run /var/lib /var/log; do mount -t tmpfs tmpfs "$folder"; done
    mkdir -p /var/lib/kubelet
    mount --bind "$0/kubelet" /var/lib/kubelet
    mount --make-rshared /
    ip link set lo up
    ip link add pods0 type bridge
    ip address add "$1" dev pods0
    ip link set pods0 up
    echo 1 >/proc/sys/net/ipv4/ip_forward
    # A command in the background reads /dev/null, unless it is told otherwise.
    exec 3<&0
    touch "$0/pid/namespaces"
    if [ "$2" = lifeline ]; then cat <&3 >/dev/null & else sleep infinity & fi
    wait "$!"
'

# make_namespaces FD: see `up`.
make_namespaces() {
    local lifeline=none input=/dev/null outer pid
    if [ -n "$1" ]; then lifeline=lifeline input=/dev/fd/$1; fi
    setsid unshare --mount --pid --net --fork --kill-child --propagation private \
        sh -euc "$first_process" "$DIR" "$NODE_IP/24" "$lifeline" <"$input" >"$DIR/log/init.log" 2>&1 &
    outer=$!
    within 10 "the first process" grep -q . "/proc/$outer/task/$outer/children"
    pid=$(tr -d ' ' <"/proc/$outer/task/$outer/children")
    echo "$pid $(started "$pid")" >"$DIR/pid/init"
    within 10 "the namespaces" test -e "$DIR/pid/namespaces"
}

end_namespaces() {
    # Containers' control groups are the one thing that no namespace holds. Only those of ours: another cluster may run.
    local containers=() id group
    for id in "$DIR"/containerd/state/io.containerd.runtime.v2.task/k8s.io/*; do
        [ -d "$id" ] && containers+=("$(basename "$id")")
    done
    if alive; then
        kill -KILL "$(init)" 2>/dev/null || true
        local end=$((SECONDS + 20))
        while alive && [ "$SECONDS" -lt "$end" ]; do sleep 0.02; done
    fi
    for id in ${containers[@]+"${containers[@]}"}; do
        for group in /sys/fs/cgroup/k8s.io/"$id" /sys/fs/cgroup/*/k8s.io/"$id"; do
            [ -d "$group" ] || continue
            # Its processes were killed, and may still be on their way out.
            for _ in $(seq 200); do ! remove_group "$group" || break; sleep 0.05; done
        done
    done
    # Where we were the only one.
    rmdir /sys/fs/cgroup/k8s.io /sys/fs/cgroup/*/k8s.io 2>/dev/null || true
}

remove_group() {
    find "$1" -depth -type d -exec rmdir {} + 2>/dev/null
    [ ! -d "$1" ]
}
