#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Evaluation from the command line: four protocols, JSON on stdout or in a file, mistakes.
. "$(dirname "$0")/lib.sh"
with_models
mkdir -p people/Ada people/Bea
ln -s "$FACENET_DEMO/sample1.jpg" people/Ada/Ada_0001.jpg
ln -s "$FACENET_DEMO/sample3.jpg" people/Ada/Ada_0002.jpg
ln -s "$FACENET_DEMO/sample2.jpg" people/Bea/Bea_0001.jpg
ln -s "$FACENET_DEMO/sample4.jpg" people/Bea/Bea_0002.jpg
printf '2\t1\nAda\t1\t2\nAda\t1\tBea\t1\nBea\t1\t2\nBea\t2\tAda\t2\n' >pairs.txt

expect 0 eval pairs --pairs pairs.txt people
for key in pairs images detector_misses accuracy accuracy_se threshold auc eer tar_at_far_1e-2 tar_at_far_1e-3; do
    out_has "\"$key\":"
done
out_has '"images": 4'
cp out first
[ -f "$XDG_CACHE_HOME/facenet/embeddings.db" ] || fail "no cache was made"
expect 0 eval pairs --out report.json --pairs pairs.txt people
cmp first report.json || fail "the cache changes the report"
lines out 0
expect 0 eval pairs --no-cache --jobs 1 --pairs pairs.txt people
cmp first out || fail "without the cache the report is another"

expect 0 eval all-pairs people
out_has '"different_pairs": 4'
expect 0 eval calibrate --data demo people
out_has '"data":"demo"'
expect 0 eval calibrate --data demo --out calibration.json people
cmp out calibration.json && fail "the calibration went to standard output"
expect 0 eval identify --seed 2 people
out_has '"gallery": 1'

expect 2 eval
expect 2 eval pairs
expect 2 eval everything people
err_has "expected pairs, all-pairs, identify or calibrate"
expect 2 eval pairs people
err_has "pairs and --pairs FILE go together"
expect 2 eval all-pairs --pairs pairs.txt people
expect 2 eval calibrate people
expect 2 eval all-pairs --cache c --no-cache people
expect 2 eval identify --fmr 0.9 people
expect 1 eval all-pairs nowhere
lines err 1
expect 1 eval pairs --pairs nowhere people
sed -i 's/Bea\t1\t2/Bea\t1\t7/' pairs.txt
expect 1 eval pairs --pairs pairs.txt people
err_has "Bea_0007"
echo "10 x" >pairs.txt
expect 1 eval pairs --pairs pairs.txt people
err_has "pairs.txt: line 1:"
expect 1 eval all-pairs --cache pairs.txt people
err_has "--no-cache"
equal "$(cat pairs.txt)" "10 x"
expect 3 eval all-pairs --models nowhere people
expect 1 eval all-pairs --out nowhere/report.json people
