#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# People enrolled with an older model are named by a newer one that was trained to embed beside it, and its own
# vectors join theirs; a model that was not so trained sees none of them.
. "$(dirname "$0")/lib.sh"
with_models
photos=$FACENET_DEMO

# A few people in two cuts each, and their crops to learn from. So few are learnt by heart: what is shown here
# is what the program does with such a model.
mkdir cuts
for template in eyes-200 dlib-150; do
    "$FACENET" align -q --out cuts/$template --template $template "$photos/sample1.jpg" "$photos/sample2.jpg" >/dev/null
    for file in cuts/$template/*; do
        name=$(basename "$file")
        [ -n "$("$FACENET" detect -q "$file")" ] || continue
        mkdir -p "people/${name%.*}"
        cp "$file" "people/${name%.*}/$template.jpg"
    done
done
expect 0 dataset prepare -q people crops --template arcface-112
expect 0 train -q --data crops --arch tiny --embedding 128 --size 48 --optimizer adam --loss distill --batch 16 \
    --teacher mobilefacenet --flip 0 --augment none --epochs 150 --steps-per-epoch 4 --out run
new=run/last.onnx

# The older model's gallery.
expect 0 enroll -q people
cp "$XDG_DATA_HOME/facenet/gallery.db" old.db
face=$(ls people | head -1)
probe="people/$face/eyes-200.jpg"

# Nothing is decided before somebody has measured what distances to its vectors mean.
expect 3 identify --model $new "$probe"
err_has "faces were embedded by mobilefacenet, and tiny-distill has no calibration against that"
err_has "facenet eval calibrate --against mobilefacenet --write"
expect 0 eval calibrate --against mobilefacenet --data demo --write --model $new people
out_has '"data":"demo"'
cp out first
# Its own calibration is another matter, and not wanted while it has no vectors.
expect 0 eval all-pairs --model $new --against mobilefacenet people
out_has '"against": "mobilefacenet"'
n_images=$(grep -o '"images": [0-9]*' out | tr -dc 0-9)
equal "$(grep -o '"pairs": [0-9]*' out | tr -dc 0-9)" $((n_images * (n_images - 1)))
expect 0 identify --fmr 0.05 --model $new "$probe"
equal "$(field 1 3)" "$face"
out_has "same person"
expect 0 eval identify --fmr 0.05 --model $new --against mobilefacenet people
out_has '"against_fingerprint"'

# Enrolled with the newer model, a picture has two vectors; the older model still sees its own alone.
expect 0 enroll --model $new --name "$face" "$probe"
out_has "enrolled"
expect 3 identify --fmr 0.05 --model $new "$probe"
err_has "tiny-distill: the model has no calibration"
expect 0 eval calibrate --data demo --write --model $new people
cmp out first && fail "both calibrations are one"
expect 0 identify --fmr 0.05 --model $new "$probe"
equal "$(field 1 3),$(field 1 4)" "$face,0.0000"
expect 0 people show --json "$face"
equal "$(grep -o '"fingerprint":"[0-9a-f]*"' out | sort -u | wc -l)" 2
expect 0 identify --fmr 0.05 "$probe"
equal "$(field 1 3)" "$face"

# The mean of a face and its mirror image is to be compared with such means, and only when that is calibrated.
expect 3 identify --model $new --mirror "$probe"
err_has "fingerprint"

# Another network, trained apart, is no relation.
expect 0 train -q --data crops --arch tiny --embedding 128 --size 48 --optimizer adam --people-per-batch 4 \
    --epochs 2 --steps-per-epoch 2 --out apart
expect 3 identify --model apart/last.onnx --gallery old.db "$probe"
err_has "its faces were made by the model with fingerprint"
expect 3 eval calibrate --against mobilefacenet --data demo --model apart/last.onnx people
err_has "tiny-triplet was not trained to embed beside mobilefacenet"
expect 3 eval all-pairs --against nowhere.onnx --model $new people
