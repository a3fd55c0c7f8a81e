#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The life of a person in a gallery.
. "$(dirname "$0")/lib.sh"
with_models
photos=$FACENET_DEMO

expect 0 enroll --name "Ada Lovelace" --face 2 "$photos/sample1.jpg"
equal "$(field 1 2)" enrolled
expect 0 enroll --name "Ada Lovelace" --face 2 "$photos/sample1.jpg"
equal "$(field 1 2)" "already there"
expect 1 enroll --name Grace --face 2 "$photos/sample1.jpg"
equal "$(field 1 2)" refused
out_has "Ada Lovelace"
out_has "Grace"
expect 0 enroll --name Grace --face 0 "$photos/sample1.jpg"
expect 0 people list
equal "$(cut -f1,2 out | tr '\t\n' '= ')" "Ada Lovelace=1 Grace=1 "
expect 0 people list --json
out_has '"name":"Grace"'
expect 0 people show Grace
out_has "sample1.jpg"
lines out 1
expect 1 people show Nobody
expect 1 people rename Grace "Ada Lovelace"
expect 0 people rename Grace "Grace Hopper"
expect 1 people rename Grace X
expect 2 people rename "Ada Lovelace" unknown-1
err_has "kept for decisions"
expect 0 identify "$photos/sample3.jpg"
equal "$(awk -F'\t' '$3 == "Ada Lovelace"' out | wc -l)" 1
equal "$(awk -F'\t' 'NF != 8' out | wc -l)" 0
expect 0 identify --json "$photos/sample3.jpg"
lines out 1
out_has '"decision":"known","name":"Ada Lovelace"'
expect 0 people merge "Grace Hopper" "Ada Lovelace"
expect 0 people list
equal "$(cut -f1,2 out)" "Ada Lovelace	2"
expect 0 people remove --yes "Ada Lovelace"
expect 0 people list
lines out 0
expect 1 people remove --yes "Ada Lovelace"
expect 0 identify "$photos/sample3.jpg"
equal "$(cut -f3 out | sort -u)" unknown
err_has "nobody is enrolled"

# A gallery of one model is not searched with another.
expect 0 enroll --name Ada --face 2 "$photos/sample1.jpg"
expect 3 identify --mirror "$photos/sample3.jpg"
expect 4 people list --gallery nowhere.db
[ ! -e nowhere.db ] || fail "looking made a gallery"
expect 4 people remove --yes Ada --gallery nowhere.db
[ ! -e nowhere.db ] || fail "removing made a gallery"
