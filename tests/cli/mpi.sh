#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One network trained by several processes: the same step as that of one process, a rank that dies, going on
# with another number of ranks, mistakes of a single rank.
. "$(dirname "$0")/lib.sh"
module=$(find "$FACENET_BINARY" -path '*/facenet/facenet-mpi.so' | head -1)
if [ -z "$module" ] || ! command -v mpirun >/dev/null; then
    echo "skipped: this build has no MPI (libopenmpi-dev and openmpi-bin bring it)"
    exit 0
fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1
# Under AddressSanitizer: Open MPI leaves memory behind and unloads its parts, so that no list can name them.
mpi_asan=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
# One machine, its memory and loopback only.
ranks() { # N WORD...
    ASAN_OPTIONS=$mpi_asan mpirun --oversubscribe --mca btl self,vader --mca oob_tcp_if_include lo -np "$1" \
        "$FACENET" "${@:2}" >out 2>err
}
draw=$FACENET_BINARY/tests/unit/draw_faces
apart=$FACENET_BINARY/tests/unit/updates_apart
"$draw" train 0 24 6 32
"$draw" val 500 12 5 32

# One step: the update of N ranks is that of one process, for every tensor. 33 images are no multiple of 2.
for loss in triplet arcface; do
    step="--data train --arch tiny --template arcface-112 --loss $loss --batch 33 --people-per-batch 11
        --images-per-person 3 --dropout 0.2 --optimizer sgd --momentum 0 --epochs 1 --steps-per-epoch 1 -q"
    expect 0 train $step --lr 1e-30 --out before
    expect 0 train $step --lr 0.5 --out one
    for n in 2 4; do
        ranks $n train $step --lr 0.5 --sync-norms --out several || fail "$n ranks: $(cat err)"
        read -r worst tensor all <<<"$("$apart" before/last.onnx one/last.onnx several/last.onnx)"
        echo "$loss, $n ranks: the worst tensor is $tensor, apart by $worst; all together $all"
        awk -v w="$worst" -v a="$all" 'BEGIN { exit !(w > 0 && w <= 1e-5 && a <= 1e-4) }' ||
            fail "$loss: $n ranks take another step than one: $tensor $worst, all $all"
        rm -rf several
    done
    # The test can fail: without common norms it is another step.
    ranks 2 train $step --lr 0.5 --out several || fail "$(cat err)"
    read -r worst tensor all <<<"$("$apart" before/last.onnx one/last.onnx several/last.onnx)"
    awk -v a="$all" 'BEGIN { exit !(a > 1e-3) }' || fail "norms of a rank's own make no difference: $all"
    rm -rf before one several
done

# A whole network with a hundred layers, where a number that rounding moves over an edge would show.
step="--data train --arch nn4.small2 --loss triplet --batch 8 --people-per-batch 4 --images-per-person 2
    --optimizer sgd --momentum 0 --epochs 1 --steps-per-epoch 1 -q"
expect 0 train $step --lr 1e-30 --out before
expect 0 train $step --lr 0.5 --out one
ranks 2 train $step --lr 0.5 --sync-norms --out several || fail "2 ranks: $(cat err)"
read -r worst tensor all <<<"$("$apart" before/last.onnx one/last.onnx several/last.onnx)"
echo "nn4.small2, 2 ranks: the worst tensor is $tensor, apart by $worst; all together $all"
awk -v w="$worst" -v a="$all" 'BEGIN { exit !(w > 0 && w <= 1e-5 && a <= 1e-4) }' ||
    fail "nn4.small2: 2 ranks take another step than one: $tensor $worst, all $all"
rm -rf before one several

small="--data train --val-data val --arch tiny --template arcface-112 --optimizer adam --people-per-batch 8 --ema 0.9"
# The same number of ranks gives the same run, to the last bit.
ranks 2 train $small --out once --epochs 6 --chunk 9 -q || fail "$(cat err)"
ranks 2 train $small --out twice --epochs 6 --chunk 9 -q || fail "$(cat err)"
cmp once/metrics.jsonl twice/metrics.jsonl || fail "two ranks twice are not the same"
equal "$(stat -c %a once/checkpoint.fnt)" 600

# A rank that dies ends the job with a line; another number of ranks goes on from the checkpoint.
for i in 1 2 3; do
    ASAN_OPTIONS=$mpi_asan mpirun --oversubscribe --mca btl self,vader --mca oob_tcp_if_include lo -np 2 \
        "$FACENET" train $small --out killed --resume --epochs 100000 --checkpoint-steps 5 -q >out 2>err &
    launcher=$!
    wanted=$((i * 20))
    for _ in $(seq 200); do
        [ "$(cat killed/metrics.jsonl 2>/dev/null | wc -l)" -ge $wanted ] && break
        sleep 0.05
    done
    kill -9 "$(pgrep -P $launcher | sed -n "$((1 + i % 2))p")"
    wait $launcher && fail "a job whose rank was killed ended well"
    err_has "go on from the last checkpoint with --resume"
done
ranks 3 train --resume --out killed --epochs 150 || fail "3 ranks do not go on: $(cat err)"
err_has "epoch 150/150"
equal "$(grep -c 'facenet: best of epoch' err)" 1
accuracy=$(sed -n 's/.*best of epoch.*accuracy \([0-9.]*\);.*/\1/p' err)
awk -v a="$accuracy" 'BEGIN { exit !(a >= 0.85) }' || fail "trained by ranks, it tells $accuracy of the pairs apart"
expect 0 model info killed/best.onnx

# What goes wrong on one rank is said once, and ends all.
cp -r train broken
echo "no picture" >broken/person_0016/04.png
ranks 2 train $small --data broken --out j --epochs 3 -q && fail "a picture that cannot be read was read"
equal "$(grep -c '^facenet: ' err)" 1
err_has "person_0016/04.png: not an image"
ranks 1 train $small --out z --epochs 1 : -np 1 "$FACENET" train $small --seed 4 --out z --epochs 1 &&
    fail "ranks with different options train together"
err_has "rank 1: other options than rank 0's"
FACENET_MODULES=/nowhere ranks 2 train $small --out z --epochs 1 && fail "two ranks without MPI train on"
equal "$(grep -c '^facenet: ' err)" 1
err_has "there is no facenet-mpi.so in /nowhere"
ranks 2 train $small --loss arcface --batch 3 --out z --epochs 1 && fail "three images for two ranks"
err_has "2 processes share 3 images"
