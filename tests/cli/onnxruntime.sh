#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Trained networks give the same embeddings in ONNX Runtime, batch-norms folded or not.
. "$(dirname "$0")/lib.sh"
ort=${FACENET_ORT:-$FACENET_SOURCE/build/bench}
if [ ! -d "$ort/node_modules/onnxruntime-node" ]; then
    echo "skipped: no onnxruntime-node in $ort (make bench brings it)"
    exit 0
fi
"$FACENET_BINARY/tests/unit/draw_faces" train 0 12 4 48
step="--data train --template arcface-112 --people-per-batch 6 --epochs 2 --steps-per-epoch 2 --optimizer adam -q"
for network in tiny nn4.small2 nn4.small2.openface mobilefacenet; do
    expect 0 train $step --arch $network --out $network
    expect 0 train $step --arch $network --fold --out $network-folded
    "$FACENET_BINARY/bench/bench_net" $network/last.onnx 1 1 </dev/null || fail "$network cannot be run"
done
node "$FACENET_SOURCE/tests/cli/onnxruntime.mjs" "$FACENET_BINARY/bench/bench_net" "$ort" ./*/last.onnx ||
    fail "another runtime sees other embeddings"
