#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The vectors in each format, and results that do not depend on the number of jobs.
. "$(dirname "$0")/lib.sh"
with_models
photos=$FACENET_DEMO

expect 0 detect "$photos/sample1.jpg"
n=$(wc -l <out)
expect 0 embed "$photos/sample1.jpg"
lines out "$n"
equal "$(awk -F'\t' '{ s = 0; for (i = 3; i <= NF; i++) s += $i * $i; printf "%d %.4f\n", NF, s }' out | sort -u)" \
    "130 1.0000"
expect 0 embed --format json "$photos/sample1.jpg"
lines out "$n"
out_has '"embedding":['
expect 0 embed --format npy --out v.npy "$photos/sample1.jpg"
equal "$(stat -c %s v.npy)" $((128 + n * 128 * 4))
equal "$(head -c 6 v.npy | od -An -tx1 | tr -d ' ')" 934e554d5059
grep -qaF "'shape': ($n, 128)" v.npy || fail "the header lacks the shape"
equal "$(cut -f2 out | tr '\n' ' ')" "$(seq 0 $((n - 1)) | tr '\n' ' ')"
[ -z "$(ls | grep 'v.npy.')" ] || fail "a temporary file stayed"
expect 1 embed --format npy --out nowhere/v.npy "$photos/sample1.jpg"
mkfifo pipe
expect 1 embed --format npy --out pipe "$photos/sample1.jpg"
[ -p pipe ] || fail "a pipe was written over"

expect 0 embed --jobs 1 "$photos"
cp out one
expect 0 embed --jobs 4 "$photos"
cmp out one || fail "four jobs give other results than one"
printf '%s\n' "$photos/sample1.jpg" "$photos/sample2.jpg" >list
expect 0 detect --files-from list
cp out by_list
tr '\n' '\0' <list >list0
expect 0 detect -0 --files-from list0
cmp out by_list || fail "-0 gives other results"
code=0
"$FACENET" detect -q - <"$photos/sample1.jpg" >out 2>err || code=$?
equal $code 0
lines out "$n"
"$FACENET" detect -q --files-from - <list >out 2>err
cmp out by_list || fail "a list on standard input gives other results"
expect 0 detect --json --landmarks "$photos/sample1.jpg"
out_has '"landmarks":[['
lines out 1
expect 0 detect --detector ssd "$photos/sample1.jpg"
lines out 3
