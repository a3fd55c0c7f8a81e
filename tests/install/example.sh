#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The example is built as users build it, by pkg-config and by CMake, with the shared and with the
# static library, and names a face each time.
. "$(dirname "$0")/lib.sh"
with_models
source=$PREFIX/share/doc/facenet/examples/name_faces.c
[ "$(wc -l <"$source")" -le 40 ] || fail "the example has more than 40 lines"
expect 0 enroll --name "Ada Lovelace" --face 2 "$FACENET_DEMO/sample1.jpg"

# names_faces PROGRAM shared|static
names_faces() {
    readelf -d "$1" >out
    if [ "$2" = shared ]; then out_has "[libfacenet.so.0]"; else ! grep -q libfacenet out || fail "$1 is not static"; fi
    LD_LIBRARY_PATH=$lib "$1" "$FACENET_DEMO/sample3.jpg" >out 2>err || fail "$1 failed"
    equal "$(grep -c 'Ada Lovelace' out)" 1
    out_has ": unknown"
}

export PKG_CONFIG_PATH=$lib/pkgconfig
compile="$CC $CFLAGS -std=c17 -Wall -Wextra -Werror $source"
$compile $(pkg-config --cflags --libs facenet) -o pc-shared 2>err || fail "pkg-config, shared: does not build"
names_faces ./pc-shared shared
$compile $(pkg-config --cflags --libs --static facenet | sed 's/-lfacenet\b/-l:libfacenet.a/') -o pc-static 2>err ||
    fail "pkg-config, static: does not build"
names_faces ./pc-static static
equal "$(pkg-config --modversion facenet)" "$("$FACENET" version | cut -d' ' -f2)"

# configure FOLDER OPTION...: a project of one line more than it needs.
configure() {
    local folder=$1
    shift
    "$CMAKE" -S "$folder" -B "$folder/build" -DCMAKE_PREFIX_PATH="$PREFIX" "$@" >out 2>err || return 1
    "$CMAKE" --build "$folder/build" >out 2>err
}
mkdir shared static wrong
start="cmake_minimum_required(VERSION 3.25)
project(names LANGUAGES C)"
printf '%s\n' "$start" "find_package(facenet 0.1 CONFIG REQUIRED)" "add_executable(names $source)" \
    "target_link_libraries(names PRIVATE facenet::facenet)" >shared/CMakeLists.txt
configure shared -DCMAKE_DISABLE_FIND_PACKAGE_PkgConfig=ON -DCMAKE_DISABLE_FIND_PACKAGE_OpenMP=ON ||
    fail "CMake, shared: does not build"
names_faces shared/build/names shared
printf '%s\n' "$start" "find_package(facenet 0.1 CONFIG REQUIRED COMPONENTS static)" "add_executable(names $source)" \
    "target_link_libraries(names PRIVATE facenet::static)" >static/CMakeLists.txt
configure static || fail "CMake, static: does not build"
names_faces static/build/names static
printf '%s\n' "$start" "find_package(facenet 9 CONFIG REQUIRED)" >wrong/CMakeLists.txt
configure wrong && fail "version 9 was found"
err_has "facenet"
