#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A distance is learnt on people of the gallery or of a folder, written as a model, and used.
. "$(dirname "$0")/lib.sh"
with_models
photos=$FACENET_DEMO
mkdir cuts
for template in eyes-200 dlib-150; do
    "$FACENET" align -q --out cuts/$template --template $template "$photos/sample1.jpg" "$photos/sample2.jpg" >/dev/null
    for file in cuts/$template/*; do
        name=$(basename "$file")
        mkdir -p "people/${name%.*}"
        cp "$file" "people/${name%.*}/$template.jpg"
    done
done
# Cuts in which the detector finds no face again are of no use here.
for file in people/*/*; do
    [ -n "$("$FACENET" detect -q "$file")" ] || rm "$file"
done
n_people=$(find people -mindepth 1 -type d | wc -l)
[ "$n_people" -ge 6 ] || fail "$n_people people"

expect 0 lmnn people --out m.onnx --hold-out 0.4 --rank 32 --iterations 20 --whitening 1 --regularization 10
out_has "learnt from"
out_has "chosen	whitening 1, regularization 10"
out_has "held out"
out_has "numbers	32 of 128"
equal "$(grep -c 'wrong by' out)" 3
(sha256sum -c m.sha256 >/dev/null) || fail "the checksum beside the model is not its own"
expect 0 model info m.onnx
out_has "mobilefacenet-metric"
# It takes part in recognition, with people enrolled anew.
expect 0 enroll --model m.onnx --gallery g.db people

# The gallery's own vectors; everybody is learnt from.
expect 0 enroll -q people
expect 0 lmnn --out g.onnx --hold-out 0 --whitening 1 --json
equal "$(grep -o '"held_out_people":[^,]*' out | tr -d ' ')" '"held_out_people":0'
grep -q error_of out && fail "errors of nobody"
cp g.onnx before.onnx
expect 0 lmnn --out g.onnx --hold-out 0 --whitening 1 --threads 1 --json
cmp g.onnx before.onnx || fail "the same people give another map"
# One person held out can be confused with nobody.
expect 0 lmnn --out one.onnx --hold-out 0.2 --whitening 1
out_has "held out	1 people, 0 photographs"
grep -q "wrong by" out && fail "errors of one person"
err_has "of the 1 held out nobody can be asked for"

# Settings are tried on people left out. Here nobody is confused with anybody before, so nothing can help, and
# there is no model.
expect 0 lmnn --out kept.onnx --hold-out 0 --iterations 20
[ "$(grep -c '^tried' out)" -ge 7 ] || fail "few settings were tried"
err_has "nothing helps people left out of the learning"
[ ! -e kept.onnx ] || fail "a model that helps nobody"
expect 0 lmnn --out kept.onnx --hold-out 0 --iterations 20 --json
out_has '"kept":true'
out_has '"gain_se":'

# Asked to stop, it ends and writes nothing, whatever it is at. A million passes do not end by themselves.
for wait in 0.1 2; do
    "$FACENET" lmnn --out stopped.onnx --hold-out 0 --whitening 1 --iterations 1000000 --passes 1000000 >out 2>err &
    pid=$!
    sleep $wait
    kill -TERM $pid || fail "it ended before it was stopped"
    code=0
    wait $pid || code=$?
    [ $code = 143 ] && [ $wait = 0.1 ] && continue # a slow machine: it had not begun
    equal $code 1
    err_has "nothing was written"
done
[ ! -e stopped.onnx ] || fail "a model in spite of the stop"

# Mistakes.
expect 2 lmnn people
err_has "--out FILE.onnx"
expect 2 lmnn people more --out m.onnx
expect 4 lmnn --gallery g.db --out n.onnx
err_has "no face in it was embedded by mobilefacenet"
mkdir -p single/Ada
cp cuts/eyes-200/sample1.0.* single/Ada/a.jpg
expect 1 lmnn single --out n.onnx
expect 1 lmnn nowhere --out n.onnx
err_has "nowhere: not a folder of people"
expect 1 lmnn people --out nowhere/n.onnx --hold-out 0 --whitening 1
expect 1 lmnn people --out n.onnx --rank 500
[ ! -e n.onnx ] || fail "a model in spite of an error"
