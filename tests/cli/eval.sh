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

# Clips: folders of frames, of which the first two count (9 before 10), and a list of pairs. Every frame of a
# clip is one photograph here, so two clips are as far apart as two photographs.
for clip in Ada/a=1 Ada/b=3 Bea/a=2 Bea/b=4; do
    mkdir -p "clips/${clip%=*}"
    for i in 9 10; do
        ln -s "$FACENET_DEMO/sample${clip#*=}.jpg" "clips/${clip%=*}/f$i.jpg"
    done
    echo "no picture" >"clips/${clip%=*}/f11.jpg"
done
expect 0 eval videos --frames 2 clips
out_has '"protocol": "videos"'
out_has '"clips": 4'
out_has '"frames": 8'
out_has '"folds": 1'
out_has '"different_pairs": 4'
cp out first
expect 0 eval all-pairs people
equal "$(grep '"auc":' first)" "$(grep '"auc":' out)"
expect 0 eval videos --no-cache --jobs 1 --frames 2 clips
cmp first out || fail "without the cache the report is another"
printf 'split, first, second, same\n1, Ada/a, Ada/b, 1\n1, Ada/a, Bea/a, 0\n2\tBea/a\tBea/b\t1\n2\tAda/b\tBea/b\t0\n' >clips.txt
expect 0 eval videos --frames 2 --pairs clips.txt clips
out_has '"folds": 2'
out_has '"judged_pairs": 4'
expect 0 eval videos clips
err_has "left out"
mkdir clips/Bea/none # a clip of which nothing can be read is missing in the figures
echo "no picture" >clips/Bea/none/f1.jpg
expect 1 eval videos --frames 2 clips
out_has '"unreadable": 1'
rm -r clips/Bea/none
sed 's/Bea.b/Bea\/c/' clips.txt >others.txt
expect 1 eval videos --frames 2 --pairs others.txt clips
err_has "Bea/c: listed, but not there"
rm clips/Ada/a/f9.jpg clips/Ada/a/f10.jpg
expect 1 eval videos --pairs clips.txt clips
err_has "Ada/a: listed, but none of its frames could be read"
expect 2 eval pairs --frames 2 --pairs pairs.txt people

expect 2 eval
expect 2 eval pairs
expect 2 eval everything people
err_has "expected pairs, all-pairs, identify, videos or calibrate"
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
