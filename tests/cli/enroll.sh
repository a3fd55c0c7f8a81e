#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Who is who comes from --name, from folders or from file names; which face is meant from --face.
. "$(dirname "$0")/lib.sh"
with_models
photos=$FACENET_DEMO

expect 1 enroll --name A "$photos/sample1.jpg"
equal "$(field 1 2)" refused
out_has " faces: 0 at "
out_has "choose one with --face"
expect 1 enroll --name A --face 9 "$photos/sample1.jpg"
out_has " faces: 0 at "
expect 1 enroll --name A --face 9 --json "$photos/sample1.jpg"
out_has '"status":"refused"'
expect 0 people list
lines out 0

mkdir -p "folders/Ada L" folders/Grace flat
cp "$photos/sample1.jpg" "folders/Ada L/1.jpg"
cp "$photos/sample2.jpg" "folders/Ada L/2.jpg"
cp "$photos/sample4.jpg" folders/Grace/x.jpg
expect 0 enroll --gallery g1.db folders/
equal "$(cut -f3 out | tr '\n' '|')" "Ada L|Ada L|Grace|"
out_has "the largest of"
equal "$(stat -c %a g1.db)" 600
cp "$photos/sample5.jpg" folders/stray.jpg
expect 1 enroll --gallery g1.db folders
out_has "lies beside the folders of people"
equal "$(cut -f2 out | sort | uniq -c | tr -s ' ' | tr '\n' '|')" " 3 already there| 1 refused|"

"$FACENET" align -q --face 0 --out flat --template eyes-200 "$photos/sample1.jpg" >/dev/null
mv flat/sample1.0.jpg "flat/Ada B.jpg"
expect 0 enroll --gallery g2.db --min-face 20 --face largest flat
equal "$(field 1 3)" "Ada B"
expect 0 enroll --gallery g2.db --keep-crops --name Kept --face largest "$photos/sample6.jpg"
expect 0 people show --gallery g2.db --json Kept
out_has '"crop":true'

# Read-only ground, or ground that is no folder.
expect 4 enroll --gallery /dev/null/g.db --name A --face 0 "$photos/sample1.jpg"
expect 1 enroll nowhere
