#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs into PREFIX for the other scripts. The whole is moved after it was installed, so that
# what they pass with cannot know where it was put.
set -eu
unset DESTDIR
rm -rf "$PREFIX" "$PREFIX.first"
"$CMAKE" --install "$FACENET_BINARY" --prefix "$PREFIX.first" >/dev/null
mv "$PREFIX.first" "$PREFIX"
