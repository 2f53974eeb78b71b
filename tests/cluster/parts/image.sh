# Images: one static executable each.

# image NAME FILE [ENTRYPOINT [USER]]
image() {
    local name=$1 file=$2 archive
    archive=$(mktemp "$DIR/images/XXXXXX")
    "$here/../../bins/monday-agent/archive" "$name" "${3:-/app}" "$file" "$archive" "${4:-}"
    containers images import "$archive" >/dev/null
    rm -f "$archive"
}
