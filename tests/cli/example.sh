#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The example of examples/ names the faces of a photograph, and says what is missing.
. "$(dirname "$0")/lib.sh"
with_models
example=$FACENET_BINARY/examples/name_faces
expect 0 enroll --name "Ada Lovelace" --face 2 "$FACENET_DEMO/sample1.jpg"
"$example" "$FACENET_DEMO/sample3.jpg" >out 2>err || fail "the example failed"
equal "$(grep -c 'Ada Lovelace' out)" 1
"$example" "$FACENET_DEMO/sample3.jpg" | grep -q ': unknown' || fail "nobody is unknown"
"$example" nowhere.jpg >out 2>err && fail "a missing photograph is no error"
err_has "nowhere.jpg"
lines err 1
