#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Crops are made by a program that is killed again and again: a run that ends well leaves the folder as one
# that was never stopped.
. "$(dirname "$0")/lib.sh"
with_models

expect 0 align --out faces "$FACENET_DEMO/sample2.jpg" "$FACENET_DEMO/sample5.jpg"
for i in 1 2 3 4 5 6 7 8; do
    mkdir -p src/p$i
    cp faces/*.jpg src/p$i
done
echo nonsense >src/p3/broken.jpg
expect 1 dataset prepare src whole

for i in $(seq 1 30); do
    "$FACENET" dataset prepare --jobs 2 src dst >out 2>err </dev/null &
    sleep 0.$((RANDOM % 8))$((RANDOM % 10))
    kill -9 $! || true
    wait $! 2>err || true
    # When it writes all of it in time, the killing begins anew.
    [ "$(find dst -name '*.jpg' 2>/dev/null | wc -l)" -lt 56 ] || rm -rf dst
done
# A file that was being written, as a kill in the middle leaves it, whatever the luck of this run was.
mkdir -p dst/p1 dst/.outliers/p1
for folder in dst dst/p1 dst/.outliers/p1; do
    echo half >$folder/.facenet-part-Xy3Zab
done
expect 1 dataset prepare src dst
find dst -name '.facenet-part-*' >out
lines out 0
rm -r dst/.outliers
diff -r whole dst || fail "the folder is not the one of a whole run"
