#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The shared library exports what symbols.txt lists and nothing else, and so do the headers declare.
. "$(dirname "$0")/lib.sh"
list=$FACENET_SOURCE/tests/install/symbols.txt
export LC_ALL=C
# __odr_asan and the like belong to the sanitizers.
nm -D --defined-only "$lib/libfacenet.so" | awk '$3 !~ /^_*(asan|odr_asan|ubsan|sancov)/ { print $3 }' | sort >exported
sed -nE 's/^FN_API [^(]*[ *](fn_[a-z0-9_]+)\(.*/\1/p' "$PREFIX"/include/facenet/*.h | sort >declared
equal "$(wc -l <declared)" "$(grep -c '^FN_API ' "$PREFIX"/include/facenet/*.h | awk -F: '{ n += $2 } END { print n }')"
diff "$list" exported >out || fail "libfacenet.so (right) differs from symbols.txt (left)"
diff "$list" declared >out || fail "the headers (right) differ from symbols.txt (left)"
