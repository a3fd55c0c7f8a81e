#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One bad file among good ones: one line on stderr, exit code 1, and every other result.
. "$(dirname "$0")/lib.sh"
with_models
mkdir mixed
cp "$FACENET_DEMO/sample1.jpg" mixed/1.jpg
: >mixed/2-empty.jpg
echo "no picture at all" >mixed/3-text.jpg
head -c 40000 "$FACENET_DEMO/sample1.jpg" >mixed/4-cut.jpg
cp "$FACENET_DEMO/sample2.jpg" mixed/5.jpg
ln -s nowhere mixed/6-broken
expect 0 detect mixed/1.jpg mixed/5.jpg
cp out good
expect 1 detect mixed
cmp out good || fail "the good pictures gave other results beside bad ones"
lines err 4
for name in 2-empty 3-text 4-cut 6-broken; do err_has "mixed/$name"; done
expect 1 detect --json mixed
lines out 5
out_has '"error":{"code":"FN_EFORMAT"'
expect 0 detect --lenient mixed/4-cut.jpg
expect 1 detect --max-bytes 1K mixed/1.jpg
lines out 0
expect 1 detect --max-pixels 1000 mixed/1.jpg
expect 1 enroll --name A --face 0 mixed
equal "$(cut -f2 out | tr '\n' ' ')" "enrolled enrolled "
expect 1 identify mixed
[ "$(wc -l <out)" -ge 5 ] || fail "identify left out good pictures"
