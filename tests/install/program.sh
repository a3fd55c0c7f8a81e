#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The program starts in milliseconds: what only some photographs need is not loaded at the start.
. "$(dirname "$0")/lib.sh"
LD_DEBUG=libs "$FACENET" version >out 2>err
out_has "facenet "
err_has "libdnnl"
grep -E 'lib(heif|pango|cairo|glib|avcodec|avformat)' err >out && fail "loaded at the start, not when used"
ldd "$FACENET" >out
[ "$(wc -l <out)" -le 25 ] || fail "more than 25 shared objects"
if [ -n "$CFLAGS" ]; then
    echo "skipped: time of the start, sanitizers slow it down"
    exit 0
fi
# Processor time, which other work on the machine hardly changes.
best=1000000
TIMEFORMAT='%3U %3S'
for _ in $(seq 30); do
    read -r user system <<<"$({ time "$FACENET" version >out; } 2>&1)"
    took=$((10#${user/./} + 10#${system/./}))
    [ $took -ge $best ] || best=$took
done
echo "facenet version: $best ms of processor time"
[ $best -lt 50 ] || fail "starting took $best ms of processor time at best"
