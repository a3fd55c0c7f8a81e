#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Crops and marked copies: one file per face or picture, none written over another.
. "$(dirname "$0")/lib.sh"
with_models
photos=$FACENET_DEMO

expect 0 detect "$photos/sample1.jpg"
n=$(wc -l <out)
expect 0 align --out crops "$photos/sample1.jpg"
lines out "$n"
[ -s crops/sample1.0.jpg ] && [ -s crops/sample1.$((n - 1)).jpg ] || fail "crops are missing"
equal "$(ls crops | wc -l)" "$n"
expect 0 align --out crops --format png --face largest --template dlib-150 "$photos/sample2.jpg"
lines out 1
equal "$(head -c 4 "$(field 1 3)" | od -An -tx1 | tr -d ' ')" 89504e47
mkdir a b
cp "$photos/sample1.jpg" a/x.jpg
cp "$photos/sample2.jpg" b/x.jpg
expect 0 detect --draw marked a b
equal "$(ls marked | tr '\n' ' ')" "x-2.jpg x.jpg "
expect 0 detect marked
touch file
expect 1 detect --draw file a
expect 1 align --out file/below a
