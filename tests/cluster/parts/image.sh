# Images: one static executable in one layer, as an archive in the image layout of the Open Container Initiative
# (https://github.com/opencontainers/image-spec).

# image NAME FILE
image() {
    local name=$1 file=$2 work layer settings manifest
    work=$(mktemp -d "$DIR/images/XXXXXX")
    mkdir -p "$work/rootfs/tmp" "$work/layout/blobs/sha256"
    chmod 1777 "$work/rootfs/tmp"
    install -m 755 "$file" "$work/rootfs/app"
    tar -C "$work/rootfs" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$work/layer" .
    layer=$(blob "$work/layer")
    cat >"$work/settings" <<JSON
{"os": "linux", "architecture": "$(dpkg --print-architecture)", "config": {"Entrypoint": ["/app"]},
 "rootfs": {"type": "layers", "diff_ids": ["${layer%% *}"]}}
JSON
    settings=$(blob "$work/settings")
    cat >"$work/manifest" <<JSON
{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
 "config": $(descriptor config.v1+json $settings),
 "layers": [$(descriptor layer.v1.tar $layer)]}
JSON
    manifest=$(blob "$work/manifest")
    manifest=$(descriptor manifest.v1+json $manifest)
    echo '{"imageLayoutVersion": "1.0.0"}' >"$work/layout/oci-layout"
    cat >"$work/layout/index.json" <<JSON
{"schemaVersion": 2, "manifests": [${manifest%\}}, "annotations": {"io.containerd.image.name": "$name"}}]}
JSON
    tar -C "$work/layout" -cf "$work/archive" .
    containers images import "$work/archive" >/dev/null
    rm -rf "$work"
}

# blob FILE: moves it to the place that its content names; says `sha256:DIGEST SIZE`.
blob() {
    local digest size
    digest=$(sha256sum <"$1")
    digest=${digest%% *}
    size=$(stat -c %s "$1")
    mv "$1" "$work/layout/blobs/sha256/$digest"
    echo "sha256:$digest $size"
}

# descriptor KIND DIGEST SIZE
descriptor() { printf '{"mediaType": "application/vnd.oci.image.%s", "digest": "%s", "size": %s}' "$1" "$2" "$3"; }
