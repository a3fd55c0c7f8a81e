#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What "make run" shows: over samples 2 to 6 one face, in sample3, is Person A; all others are unknown.
. "$(dirname "$0")/lib.sh"
with_models
mkdir -p result/photos
cp "$FACENET_DEMO"/sample[1-6].jpg result/photos
"$FACENET_SOURCE/tools/demo" "$FACENET" result >out 2>err || fail "tools/demo failed"
out_has "Person A"
cp result/result.tsv out
named=$(awk -F'\t' '$3 != "unknown" { print $1 ":" $3 }' out)
equal "$named" "result/photos/sample3.jpg:Person A"
[ "$(wc -l <out)" -ge 17 ] || fail "fewer than 17 faces in samples 2 to 6"
for i in 2 3 4 5 6; do
    [ -s result/sample$i.jpg ] || fail "sample$i.jpg was not marked"
done
[ ! -e "$XDG_DATA_HOME/facenet/gallery.db" ] || fail "the user's own gallery was touched"
"$FACENET_SOURCE/tools/demo" "$FACENET" result >again 2>err || fail "the second run failed"
cmp -s result/result.tsv out || fail "the second run differs from the first"
