#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each installed header compiles alone, as C17 and as C++17, and may be included twice.
. "$(dirname "$0")/lib.sh"
flags="-Wall -Wextra -Wpedantic -Werror -fsyntax-only -I$PREFIX/include"
cxx=$(command -v g++ || command -v clang++ || true)
[ -n "$cxx" ] || echo "skipped: headers as C++, there is neither g++ nor clang++"
for header in "$PREFIX"/include/facenet/*.h; do
    name=facenet/$(basename "$header")
    printf '#include <%s>\n#include <%s>\n' "$name" "$name" | tee one.c >one.cc
    "$CC" -std=c17 $flags one.c >out 2>err || fail "$name does not compile alone as C17"
    [ -z "$cxx" ] || "$cxx" -std=c++17 $flags one.cc >out 2>err || fail "$name does not compile alone as C++17"
done
