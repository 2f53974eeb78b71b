# Kubernetes' own programs, from its Go module; and the program of a pod's sandbox.
# The module is meant to be built from its repository: as a dependency, the parts that it develops itself (k8s.io/api and
# so on) have the version v0.0.0 and come from a folder. Each is published with every release as v0.MINOR.PATCH.

build() {
    [ -x "$CACHE/pause" ] && [ -x "$CACHE/kubectl" ] && return
    command -v go >/dev/null || fail "Go is needed to build Kubernetes $VERSION (once)"
    mkdir -p "$(dirname "$CACHE")"
    (
        # Two test runs at once build it once.
        flock 9
        [ -x "$CACHE/pause" ] && [ -x "$CACHE/kubectl" ] && exit
        work=$CACHE.building
        rm -rf "$work"
        mkdir -p "$work/bin"
        cd "$work"
        write_module
        say "builds Kubernetes $VERSION: some six minutes on two processors, and never again"
        local stamp=k8s.io/component-base/version
        CGO_ENABLED=0 go build -mod=mod -trimpath -o bin/ \
            -ldflags "-s -w -X $stamp.gitVersion=v$VERSION -X $stamp.gitMajor=1 -X $stamp.gitMinor=$(minor) -X $stamp.gitTreeState=clean" \
            "${commands[@]}" >&2
        gcc -static -Os -s -o bin/pause "$here/pause.c"
        mkdir -p "$CACHE"
        mv bin/kube* "$CACHE/"
        # Last: it is the sign that all is there.
        mv bin/pause "$CACHE/"
        cd /
        rm -rf "$work"
    ) 9>"$CACHE.lock"
}

minor() { cut -d. -f2 <<<"$VERSION"; }

commands=(k8s.io/kubernetes/cmd/kube{-apiserver,-controller-manager,-scheduler,let,ctl})

# A module in this folder that needs nothing but those commands.
write_module() {
    local theirs module
    printf 'module monday.test/cluster\n\ngo 1.24\n' >go.mod
    theirs=$(go mod download -json "k8s.io/kubernetes@v$VERSION" | sed -n 's/^.*"GoMod": "\([^"]*\)".*$/\1/p')
    [ -s "$theirs" ] || fail "the module k8s.io/kubernetes v$VERSION cannot be had"
    {
        echo 'module monday.test/cluster'
        grep '^go ' "$theirs"
        echo "require k8s.io/kubernetes v$VERSION"
        for module in $(sed -n 's/^[[:space:]]*\(k8s\.io\/[^ ]*\) v0\.0\.0.*$/\1/p' "$theirs" | sort -u); do
            echo "replace $module => $module v0.${VERSION#1.}"
        done
    } >go.mod
    {
        printf '//go:build commands\n\npackage cluster\n\n'
        printf 'import _ "%s"\n' "${commands[@]}"
    } >commands.go
    go mod tidy >&2
}
