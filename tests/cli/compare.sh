#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Distances of pairs and their meaning.
. "$(dirname "$0")/lib.sh"
with_models
photos=$FACENET_DEMO

expect 0 compare "$photos/sample1.jpg" "$photos/sample1.jpg"
lines out 1
equal "$(field 1 3)" "0.0000"
case $(field 1 5) in "same person: "*) ;; *) fail "a picture is not like itself" ;; esac
expect 0 compare "$photos/sample1.jpg" "$photos/sample4.jpg"
case $(field 1 5) in "different people: "*) ;; *) fail "different people are called the same" ;; esac
expect 0 compare --json "$photos/sample1.jpg" "$photos/sample4.jpg"
out_has '"distance":'
expect 0 compare "$photos/sample1.jpg" "$photos/sample4.jpg" "$photos/sample5.jpg"
lines out 4
equal "$(field 2 2)" "0.0000"
equal "$(field 2 3)" "$(field 3 2)"
expect 0 compare --json "$photos/sample1.jpg" "$photos/sample4.jpg" "$photos/sample5.jpg"
lines out 3
expect 1 compare "$photos/sample1.jpg" nowhere.jpg
lines out 0
expect 1 compare --face only "$photos/sample1.jpg" "$photos/sample4.jpg"
err_has "faces: 0 at"
mkdir -p empty one
cp "$photos/sample1.jpg" one
expect 1 compare empty one
err_has "fewer than two pictures"
