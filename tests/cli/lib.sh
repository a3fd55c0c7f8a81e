# SPDX-License-Identifier: Apache-2.0
# What the test scripts share. Sourced: a fresh folder to work in, own XDG folders, and checks that
# say what they saw.
set -eu
: "${FACENET:?the program under test}" "${FACENET_MODELS:?}" "${FACENET_DEMO:?}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export HOME=$work/home XDG_DATA_HOME=$work/home/data XDG_CACHE_HOME=$work/home/cache LC_ALL=C
mkdir -p "$XDG_DATA_HOME/facenet"

# Named models are found where every program finds them.
with_models() {
    ln -s "$FACENET_MODELS" "$XDG_DATA_HOME/facenet/models"
}

fail() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    printf -- '--- stdout\n%s\n--- stderr\n%s\n' "$(cat out 2>/dev/null)" "$(cat err 2>/dev/null)" >&2
    exit 1
}

# expect CODE WORD...: runs facenet, output in the files out and err, and checks the exit code.
expect() {
    local wanted=$1 code=0
    shift
    "$FACENET" "$@" >out 2>err </dev/null || code=$?
    [ $code = "$wanted" ] || fail "facenet $* ended with $code, expected $wanted"
}

# out_has / err_has TEXT: the last run said TEXT.
out_has() {
    grep -qF -- "$1" out || fail "stdout lacks: $1"
}
err_has() {
    grep -qF -- "$1" err || fail "stderr lacks: $1"
}

# lines FILE N: the file has N lines.
lines() {
    [ "$(wc -l <"$1")" = "$2" ] || fail "$1 has $(wc -l <"$1") lines, expected $2"
}

# field LINE COLUMN: of the last run's TSV.
field() {
    awk -F'\t' -v line="$1" -v column="$2" 'NR == line { print $column }' out
}

equal() {
    [ "$1" = "$2" ] || fail "saw \"$1\", expected \"$2\""
}

# until_true WORD...: looks at something that takes its time to happen, again and again, for a minute.
until_true() {
    for _ in $(seq 600); do
        "$@" && return 0
        sleep 0.1
    done
    return 1
}
