#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Help, mistakes in the call and what is missing: each has its exit code and one clear line.
. "$(dirname "$0")/lib.sh"

expect 2
err_has "expected a verb"
expect 2 recognise
err_has 'there is no verb "recognise"'
expect 0 --help
out_has "identify"
expect 0 help
expect 0 --version
out_has "facenet "
expect 0 version

for verb in detect align embed capture compare enroll eval dataset identify live people recognize-video model train version; do
    expect 0 $verb --help
    out_has "usage: facenet $verb"
    cp out help
    expect 0 help $verb
    cmp out help || fail "two helps for $verb"
    expect 2 $verb --no-such-option
    err_has "there is no option --no-such-option"
    lines err 1
done

expect 2 detect
err_has "expected PATH..."
expect 2 detect --min-face
err_has "--min-face wants PX"
for value in abc -1 0 nan inf 1e99 "" "12 "; do
    expect 2 detect --min-face="$value" x.jpg
    err_has "--min-face wants a number from 1 to 65535"
done
for value in 0 1.5 2000 x; do
    expect 2 detect --jobs "$value" x.jpg
    err_has "--jobs wants a whole number from 1 to 1024"
done
for value in 0 -5 10X K 99999999999999999999 18446744073709551615K; do
    expect 2 detect --max-bytes="$value" x.jpg
    err_has "--max-bytes wants a whole number above 0"
done
expect 2 detect --detector=haar x.jpg
err_has "one of blazeface|ssd"
expect 2 detect --detector=blaze x.jpg
expect 2 detect -z x.jpg
expect 2 detect --json=maybe x.jpg
err_has "takes no value but yes or no"
expect 2 detect --landmarks x.jpg
expect 2 detect -0 x.jpg
err_has "-0 goes with --files-from"
expect 2 align x.jpg
err_has "expected --out DIR"
expect 2 align --out o --template passport x.jpg
expect 2 align --out o --face second x.jpg
expect 2 embed --format npy x.jpg
expect 2 embed --out f x.jpg
expect 2 compare one.jpg
expect 2 compare --face -1 a b
expect 2 identify --fmr 2 x.jpg
expect 2 people
expect 2 people forget
err_has "expected list, show, rename, merge or remove"
expect 2 people show
expect 2 people rename A
expect 2 people rename A unknown
err_has "kept for decisions"
expect 2 people remove A
err_has "there is no terminal: give --yes"
expect 2 model
expect 2 model fetch
expect 2 model extract nowhere x y
expect 2 version 1

# Nothing is installed in this home.
echo x >x.jpg
expect 3 detect x.jpg
lines err 1
expect 3 identify x.jpg
expect 3 model pull no-such-model
err_has "no-such-model"
expect 0 model path
equal "$(cat out)" "$XDG_DATA_HOME/facenet/models"
expect 0 model list
out_has "missing"
expect 4 people list
lines err 1

with_models
expect 0 model list
out_has "installed"
expect 0 model verify
expect 0 model info mobilefacenet
out_has "fingerprint"
expect 0 model info mobilefacenet --layers
expect 2 enroll x.jpg
err_has "say who it shows with --name"
expect 2 enroll --name unknown x.jpg
expect 4 identify x.jpg
echo "this is no gallery, whatever its name says, and it is long enough to be looked at" >g.db
expect 4 identify --gallery g.db x.jpg
expect 4 people list --gallery g.db
expect 1 detect nowhere.jpg
err_has "nowhere.jpg"
lines err 1
expect 1 detect --files-from nowhere.txt
code=0
"$FACENET" model list >/dev/full 2>err || code=$?
equal $code 1
err_has "standard output"
