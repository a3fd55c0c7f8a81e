#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Paths are bytes: a record stays one line, and a terminal is never steered by a file name.
. "$(dirname "$0")/lib.sh"
with_models
photo=$FACENET_DEMO/sample1.jpg
mkdir odd
cp "$photo" odd/$'new\nline.jpg'
cp "$photo" odd/$'tab\there.jpg'
cp "$photo" odd/$'bad\xff\xfeutf8.jpg'
cp "$photo" odd/$'esc\x1b[31m.jpg'
cp "$photo" odd/'back\slash.jpg'
cp "$photo" odd/-dash.jpg
cp "$photo" "odd/sp ace é ☂.jpg"
expect 0 detect "$photo"
n=$(wc -l <out) # faces in each
expect 0 detect odd
lines out $((7 * n))
equal "$(awk -F'\t' 'NF != 7' out | wc -l)" 0
out_has 'odd/new\nline.jpg'
out_has 'odd/tab\there.jpg'
out_has 'odd/bad\xFF\xFEutf8.jpg'
out_has 'odd/esc\x1B[31m.jpg'
out_has 'odd/back\\slash.jpg'
out_has 'odd/sp ace é ☂.jpg'
expect 0 detect --json odd
lines out 7
out_has '"path_escaped":true'
out_has '"path":"odd/new\nline.jpg"'
cd odd
"$FACENET" detect -q -- -dash.jpg >../out 2>../err || fail "-- does not end the options"
find . -name '*.jpg' -print0 | sort -z | "$FACENET" detect -q -0 --files-from - >../out 2>../err
cd ..
lines out $((7 * n))
printf 'no picture' >$'evil\x1b]0;title\x07.jpg'
expect 1 detect evil*
lines err 1
grep -q $'\x1b' err && fail "a control character reached the terminal"
err_has 'evil\x1B]0;title\x07.jpg'
expect 1 enroll --name $'tab\tname' --face 0 "$photo"
out_has 'tab\tname'
expect 1 enroll --name $'bad\xff' --face 0 "$photo"
out_has 'bad\xFF'
expect 0 enroll --name 'é ☂ 人' --face 0 "$photo"
expect 0 people list
out_has 'é ☂ 人'
