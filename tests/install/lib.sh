# SPDX-License-Identifier: Apache-2.0
# Sourced: the checks of tests/cli, with the installed program under test.
FACENET=$PREFIX/bin/facenet
. "$FACENET_SOURCE/tests/cli/lib.sh"
lib=$PREFIX/$LIBDIR
