#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The measurement that tools/lmnn makes, once, on a few drawn people and on those of OpenFace's embeddings.
. "$(dirname "$0")/lib.sh"
program=$FACENET_BINARY/tests/unit/lmnn_people

# Twelve people of four vectors, which differ in the first two numbers by the person and in the third by chance.
awk 'BEGIN { srand(3); for (p = 0; p < 12; p++) for (k = 0; k < 4; k++) {
    printf "%.4f,%.4f,%.4f\n", cos(p / 2), sin(p / 2), 2 * rand() - 1 > "rows.csv"; print p + 5 ",x" > "labels.csv" } }'
"$program" rows.csv labels.csv 3 0.4 1 >out
equal "$(sed -n '2,4p' out | wc -l),$(awk -F'\t' 'NR > 1 && NF == 11' out | wc -l)" "3,3"
out_has "neighbours	before	after	difference	se"
awk -F'\t' '$1 == "mean" && $4 < 0 { good = 1 } END { exit !good }' out || fail "nothing was gained where it is easy"
"$program" rows.csv labels.csv 3 0.4 1 >again
cmp out again || fail "two runs differ"
"$program" rows.csv labels.csv 2 0.4 1 1 10 >out
equal "$(awk -F'\t' '$2 == "learnt" && $3 == 1 && $4 == 10' out | wc -l)" 2
"$program" nowhere.csv labels.csv 2>err && fail "a file that is not there"
err_has "cannot be read"
head -3 labels.csv >short.csv
"$program" rows.csv short.csv 2>err && fail "fewer labels than vectors"
err_has "cannot be read"

golden=${FACENET_SHARED:-}/golden/openface_lfw1000
[ -e "$golden/embeddings.csv" ] || {
    echo "skipped: FACENET_SHARED has no golden/openface_lfw1000"
    exit 0
}
"$program" "$golden/embeddings.csv" "$golden/labels.csv" 20 0.3 0 30 1000 >out
# The error of the nearest neighbour of people not learnt from falls, by more than its standard error.
awk -F'\t' '$1 == "1" && NF == 5 { good = $4 < -$5 } END { exit !good }' out || fail "nothing was gained"
