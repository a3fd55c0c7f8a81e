#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is installed: these files, no others, and none that says where it was built.
. "$(dirname "$0")/lib.sh"
version=$("$FACENET" version | cut -d' ' -f2)
{
    echo bin/facenet
    for header in "$FACENET_SOURCE"/include/facenet/*.h; do echo "include/facenet/$(basename "$header")"; done
    for name in a so so.0 "so.$version"; do echo "$LIBDIR/libfacenet.$name"; done
    [ -e "$FACENET_BINARY/$LIBDIR/facenet/facenet-mpi.so" ] && echo "$LIBDIR/facenet/facenet-mpi.so"
    [ -e "$FACENET_BINARY/$LIBDIR/facenet/facenet-video.so" ] && echo "$LIBDIR/facenet/facenet-video.so"
    echo "$LIBDIR/pkgconfig/facenet.pc"
    for name in FindDnnl facenet-config facenet-config-version facenet-targets facenet-static-targets; do
        echo "$LIBDIR/cmake/facenet/$name.cmake"
    done
    for name in LICENSE README.md CHANGELOG.md examples/name_faces.c; do echo "share/doc/facenet/$name"; done
    echo share/man/man1/facenet.1
    "$FACENET" help | awk '/^  [a-z]/ { print "share/man/man1/facenet-" $1 ".1" }'
    echo share/man/man3/facenet.3
} | sort >expected
# CMake writes one more file per build type.
(cd "$PREFIX" && find . -type f -o -type l) | sed 's|^\./||' | grep -v -- '-targets-[a-z]*\.cmake$' | sort >out
diff expected out >err || fail "the installed files differ from the expected ones"

if [ -n "$CFLAGS" ]; then
    echo "skipped: traces of the build folder, sanitizers keep the names of the sources"
elif grep -rlF -e "$FACENET_BINARY" -e "$FACENET_SOURCE/src/" -e "$FACENET_SOURCE/include/" "$PREFIX" >out; then
    fail "these files say where they were built or installed"
fi
for file in "$FACENET" "$lib/libfacenet.so"; do
    readelf -d "$file" >out
    grep -qE 'RPATH|RUNPATH' out && fail "$file has a run path"
done
out_has "soname: [libfacenet.so.0]"
