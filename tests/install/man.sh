#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each verb has a page, each page lists the verb's options and no others, and man has no complaint.
. "$(dirname "$0")/lib.sh"
pages=$PREFIX/share/man
"$FACENET" help | awk '/^  [a-z]/ { print $1 }' >verbs
[ "$(wc -l <verbs)" -ge 10 ] || fail "fewer than ten verbs"

# Bold words that open an item, without what roff needs: "-q, --quiet".
items() {
    awk 'item { print; item = 0 } /^\.TP/ { item = 1 }' "$1" | sed 's/\\f.//g; s/\\-/-/g'
}
items "$pages/man1/facenet.1" >items
for verb in $(cat verbs); do
    page=$pages/man1/facenet-$verb.1
    [ -s "$page" ] || fail "facenet-$verb(1) is missing"
    grep -qxF "$verb" items || fail "facenet(1) does not list $verb"
    grep -qxF ".BR facenet\\-$verb (1)," "$pages/man1/facenet.1" || fail "facenet(1) does not lead to facenet-$verb(1)"
    "$FACENET" help "$verb" | sed -nE 's/^  ((-[a-z0-9], )?--[a-z-]+).*/\1/p' >expected
    items "$page" | sed -nE 's/^((-[a-z0-9], )?--[a-z-]+).*/\1/p' >out
    grep -qx -- --help out || fail "facenet-$verb(1) lists no options"
    diff expected out >err || fail "facenet-$verb(1) (right) lists other options than the help (left)"
done
for header in "$PREFIX"/include/facenet/*.h; do
    grep -qF "facenet/$(basename "$header")" "$pages/man3/facenet.3" || fail "facenet(3) lacks $(basename "$header")"
done

command -v man >/dev/null || command -v mandoc >/dev/null || echo "skipped: warnings of man, there is neither man nor mandoc"
for page in "$pages"/man*/*; do
    if command -v man >/dev/null; then
        LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" >out 2>err ||
            fail "man fails with $page"
        [ ! -s err ] || fail "man warns about $page"
    fi
    if command -v mandoc >/dev/null; then
        # The pages have the version where others have a date, so that two builds are equal.
        if mandoc -Tlint -Wwarning "$page" | grep -v 'missing date' >out; then fail "mandoc warns about $page"; fi
    fi
done
