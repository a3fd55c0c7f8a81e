#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Training from the command line, on drawn faces: a run, its files, being killed and resumed, the model it
# leaves, mistakes.
. "$(dirname "$0")/lib.sh"
draw=$FACENET_BINARY/tests/unit/draw_faces
"$draw" train 0 24 6 32
"$draw" val 500 12 5 32
small="--data train --val-data val --arch tiny --template arcface-112 --optimizer adam --people-per-batch 8 --ema 0.9"

expect 0 train $small --out run --epochs 4 --checkpoint-steps 2
err_has "epoch 4/4 step 12"
err_has "validation: accuracy"
err_has "facenet enroll --model run/best.onnx"
for file in best.onnx last.onnx checkpoint.fnt config.json metrics.jsonl report.html; do
    [ -s run/$file ] || fail "there is no run/$file"
done
for file in checkpoint.fnt config.json metrics.jsonl report.html; do
    equal "$(stat -c %a run/$file)" 600
done
equal "$(stat -c %a run)" 700
equal "$(grep -c '"kind":"step"' run/metrics.jsonl)" 12
equal "$(grep -c '"kind":"epoch"' run/metrics.jsonl)" 4
grep -q "$PWD" run/best.onnx && fail "the model tells where the pictures lie"
expect 0 model info run/best.onnx
out_has "arcface-32"

# The configuration of a run is enough to make it again.
expect 0 train --config run/config.json --out again -q
lines err 0
cmp run/metrics.jsonl again/metrics.jsonl || fail "config.json gives another run"
printf 'epochs = 2 # fewer\nseed = 7\n' >options.txt
expect 0 train $small --config options.txt --seed 8 --out other -q
grep -q '"seed": 8' other/config.json || fail "the command line does not go before the file"
grep -q '"epochs": 2' other/config.json || fail "the file is not read"

# Killed at any moment, many times, and resumed: what is measured does not change by a bit.
expect 0 train $small --out whole --epochs 150 --checkpoint-steps 7 -q
kills=0
for i in $(seq 16); do
    "$FACENET" train $small --out killed --epochs 150 --checkpoint-steps 7 --resume -q >/dev/null 2>&1 &
    pid=$!
    sleep 0.$((1 + RANDOM % 4))$((RANDOM % 10))
    kill -9 $pid 2>/dev/null && kills=$((kills + 1))
    wait $pid 2>/dev/null || true
done
[ $kills -ge 3 ] || fail "the run was never killed"
expect 0 train --out killed --resume
cmp whole/metrics.jsonl killed/metrics.jsonl || fail "killed $kills times, the run came out another"
cmp whole/best.onnx killed/best.onnx || fail "killed $kills times, the model came out another"

# One process works on a run; who comes second is told so and changes nothing.
"$FACENET" train $small --out busy --epochs 100000 -q >/dev/null 2>&1 &
pid=$!
for i in $(seq 100); do
    grep -q '"step"' busy/metrics.jsonl 2>/dev/null && break
    sleep 0.1
done
expect 1 train $small --out busy --epochs 100000 --resume
err_has "another training is working on this run"
kill -9 $pid
wait $pid 2>/dev/null || true
expect 0 train --out busy --resume --epochs 1
expect 1 train --resume --out nosuch
err_has "nosuch: there is no run to go on with"
[ ! -e nosuch ] || fail "a folder was made for a run that is not there"

# Asked to stop, it stops with a checkpoint.
"$FACENET" train $small --out stopped --epochs 100000 >out 2>err &
pid=$!
for i in $(seq 100); do
    grep -q '"step"' stopped/metrics.jsonl 2>/dev/null && break
    sleep 0.1
done
kill -TERM $pid
wait $pid || fail "stopping ended with $?"
err_has "stopped after step"
[ -s stopped/checkpoint.fnt ] || fail "stopped without a checkpoint"

# The network takes part in recognition.
if [ -n "$(ls "$FACENET_DEMO" 2>/dev/null)" ]; then
    with_models
    expect 0 enroll --model run/best.onnx --gallery g.db --name Somebody --face largest "$FACENET_DEMO/sample1.jpg"
    out_has "enrolled"
    # Without a calibration no distance means a name; with one it decides, in the same gallery.
    expect 3 identify --model run/best.onnx --gallery g.db "$FACENET_DEMO/sample1.jpg"
    cp run/best.onnx run/best.sha256 .
    expect 0 eval calibrate --write --data drawn --model ./best.onnx val
    sha256sum -c --quiet best.sha256 || fail "the checksum is not that of the model with its calibration"
    expect 0 identify --fmr 0.1 --model ./best.onnx --gallery g.db "$FACENET_DEMO/sample1.jpg"
    expect 2 eval calibrate --write --data drawn --model mobilefacenet val
    err_has "a model file of your own"
    expect 2 eval all-pairs --write val
fi

# A finished run that is resumed has nothing to do and keeps its page.
cp run/report.html page.html
expect 0 train --resume --out run -q
cmp page.html run/report.html || fail "resuming a finished run writes another page"
# What a training diverged by may be changed when it goes on; a flag of a file is taken back.
printf 'uneven = yes\n' >flags.txt
expect 0 train $small --config flags.txt --uneven=no --out even --epochs 1 -q
grep -q '"uneven": false' even/config.json || fail "--uneven=no does not go before the file"
expect 0 train --resume --out even --epochs 2 --lr 0.0005 --clip 1 -q
expect 2 train $small --freeze conv,bn,dense --out still
err_has "nothing that could learn"
# A run that has lost its checkpoint does not begin again by itself.
rm even/checkpoint.fnt
expect 1 train --resume --out even --epochs 3
err_has "begin another from its model"

# Runs side by side.
expect 0 runs --curves curves.svg run other/
lines out 2
equal "$(field 1 2)" 4
equal "$(field 1 3)" 12
equal "$(field 2 1)" other/
[ "$(grep -o '<svg class' curves.svg | wc -l)" = 1 ] || fail "curves.svg is no picture"
grep -q '>other<' curves.svg || fail "the legend does not name the runs"
expect 0 runs --json --key loss --curves curves.svg run
out_has '"best_epoch":'
expect 1 runs run .
out_has "run"
err_has ".: not the folder of a training run"
expect 2 runs --key height run
expect 0 train --data train --arch tiny --out blind --optimizer adam --epochs 1 --steps-per-epoch 2 -q
expect 1 runs --curves none.svg --key val blind
err_has "has measured"

expect 5 train --data train --arch tiny --out wild --optimizer sgd --lr 1e30
err_has "not finite, first in"
expect 5 train --data train --arch tiny --out point --optimizer sgd --lr 5 --mining batch-hard --augment none \
    --epochs 200 --collapse-steps 50 -q
err_has "collapsed"
expect 5 train --data train --arch tiny --out soft --loss soft-triplet --optimizer sgd --lr 5 --mining batch-hard \
    --augment none --epochs 400 --collapse-steps 50 -q
err_has "collapsed"
expect 1 train $small --out run
err_has "a run is there already"
expect 1 train $small --out run --resume --seed 9
err_has "seed 1"
expect 1 train --data nowhere --arch tiny --out new
expect 2 train --data train --arch tiny --model run/best.onnx --out new
err_has "one of them"
expect 2 train --data train --model run/best.onnx --dropout 0.5 --out new
err_has "dropout is built into networks by name"
mkdir alone
cp -r train/person_0001 alone/
expect 2 train --data alone --arch tiny --out new
err_has "two people at least"
# A run goes on with the pictures it was begun with, or not at all.
cp -r train changed
expect 0 train $small --data changed --out grown --epochs 1 -q
cp -r train/person_0001 changed/somebody
expect 1 train $small --data changed --out grown --epochs 2 --resume
err_has "other pictures than when the run was begun"
expect 2 train --data train --out new
err_has "a network by name"
expect 2 train --data train --arch nn5 --out new
err_has "nn4.small2"
expect 2 train --data train --arch tiny --out new --mining hardest
err_has "one of auto|semi-hard|semi-hard-random|any-violator|batch-hard|random"
expect 2 train --data train --arch tiny --out new --people-per-batch 1
expect 2 train --data train --arch tiny --out new --schedule hourly
expect 2 train --config options.txt extra
printf 'epoch = 2\n' >options.txt
expect 2 train $small --config options.txt --out new
err_has 'options.txt: line 1: there is no option "epoch"'
expect 3 train --data train --model nowhere.onnx --out new
