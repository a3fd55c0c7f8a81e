#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Datasets from the command line: photographs to crops, a look over them, people divided, mistakes.
. "$(dirname "$0")/lib.sh"
with_models

# The faces of a group photograph, cut out, are photographs that are little more than a face.
expect 0 align --out faces "$FACENET_DEMO/sample2.jpg"
mkdir -p src/Ada src/Bea src/Cid
cp faces/sample2.0.jpg src/Ada/1.jpg
cp faces/sample2.1.jpg src/Bea/1.jpg
cp faces/sample2.2.jpg src/Cid/1.jpg
for person in Ada Bea; do
    cp src/$person/1.jpg src/$person/2.jpg
done

expect 0 dataset prepare src dst
out_has '"written": 5'
[ -s dst/Ada/2.jpg ] && [ -s dst/Cid/1.jpg ] || fail "crops are missing"
[ -z "$(cat dst/failures.tsv)" ] || fail "failures.tsv is not empty"
equal "$(stat -c %a dst dst/Ada dst/Ada/1.jpg dst/facenet-dataset.json | tr '\n' ' ')" "700 700 600 600 "
echo nonsense >src/Cid/2.jpg
expect 1 dataset prepare --jobs 1 src dst
out_has '"present": 5'
out_has '"failed": 1'
err_has "dst/failures.tsv"
grep -q "^$work/src/Cid/2.jpg	unreadable	" dst/failures.tsv || fail "the failure is not listed"
for spelling in ./src "$work/src" src/; do
    expect 1 dataset prepare $spelling dst
    lines dst/failures.tsv 1
done
expect 1 dataset prepare --margin 0 src dst
err_has "prepare them the same way"
rm src/Cid/2.jpg

# What cannot be read is said and listed, and stops nothing.
ln -s /nowhere src/Ada/9.jpg
expect 1 dataset prepare src dst
out_has '"present": 5'
err_has "src/Ada/9.jpg: "
grep -q "^$work/src/Ada/9.jpg	skipped	" dst/failures.tsv || fail "the link is not listed"
expect 1 dataset prune --min-images 2 src
err_has "src/Ada/9.jpg: "
rm src/Ada/9.jpg

# Names that crops cannot have are failures of their photographs alone.
long=$(printf 'n%.0s' $(seq 251)).png
cp src/Ada/1.jpg "src/Ada/$long"
mkdir -p odd/src/Cid/1.jpg odd/dst
cp src/Ada/1.jpg odd/src/Cid/1.jpg/2.jpg # below what is a file there
expect 1 dataset prepare src dst
out_has '"bad_name": 1'
out_has '"present": 5'
cp -r dst/. odd/dst
expect 1 dataset prepare odd/src odd/dst
out_has '"bad_name": 1'
rm "src/Ada/$long"

# A person's folder and a picture may be links.
mkdir -p far/Dan linked/Eve
cp src/Ada/1.jpg far/Dan/1.jpg
cp src/Ada/1.jpg far/eve.jpg
ln -s ../far/Dan linked/Dan
ln -s ../../far/eve.jpg linked/Eve/1.jpg
expect 0 dataset stats linked
out_has '"people": 2'
expect 0 dataset split --val 0.5 linked linked-halves
[ -s linked-halves/train/*/1.jpg ] && [ -s linked-halves/val/*/1.jpg ] || fail "a half cannot be read"
expect 0 dataset prune --min-images 2 --apply linked
cmp linked/.pruned/Eve/1.jpg far/eve.jpg || fail "the moved link leads nowhere"
expect 1 dataset stats linked
ln -s . linked/self
expect 1 dataset stats linked
err_has "its own tree"

# A damaged description: the message says what works.
cp -r dst damaged
echo '{' >damaged/facenet-dataset.json
expect 1 dataset prepare src damaged
err_has "delete this file"
rm damaged/facenet-dataset.json
expect 0 dataset prepare src damaged
diff -r -x failures.tsv dst damaged || fail "the folder is not as it was"
expect 0 dataset prepare --template openface-inner-96 --size 48 --margin 4 --quality 80 src/ dst48
[ -s dst48/facenet-dataset.json ] || fail "dst48 has no description"

expect 0 dataset stats dst
out_has '"people": 3'
out_has '"150x150": 5'
out_has '"template": "arcface-112"'

expect 0 dataset duplicates dst
out_has '"chosen": 2'
out_has '"moved": 0'
expect 0 dataset outliers dst
out_has '"outliers": []'

expect 0 dataset split --by-person --val 0.34 --seed 7 dst halves
equal "$(ls halves | tr '\n' ' ')" "train val "
equal "$(ls halves/val | grep -vc json)" 1
equal "$(ls halves/train halves/val | grep -c 'Ada\|Bea\|Cid')" 3
[ -s halves/val/facenet-dataset.json ] || fail "the halves do not say how they were cut"
expect 1 dataset split --val 0.34 dst halves
err_has "is there already"
rm -r halves/train
expect 1 dataset split --val 0.34 dst halves
err_has "halves/val is there already"
rm -r halves/val
expect 0 dataset split --val 0.34 dst halves # nothing was left behind

# What is made lies apart from what is read.
for inside in src/crops ./src/../src/a/b src .; do
    expect 1 dataset prepare src $inside
    lines err 1
done
[ ! -e src/crops ] && [ ! -e src/a ] || fail "a folder was made within the photographs"
expect 1 dataset split --val 0.34 dst dst/halves
err_has "lies in dst"
expect 1 dataset prune --min-images 2 --removed dst/gone --apply dst
err_has "lies in dst"

expect 0 dataset prune --min-images 2 dst
out_has '"people_pruned": 1'
[ -s dst/Cid/1.jpg ] || fail "a dry run moved a picture"
expect 0 dataset prune --min-images 2 --apply dst
[ ! -e dst/Cid ] && [ -s dst/.pruned/Cid/1.jpg ] || fail "the pruned person was not moved"
expect 0 dataset prepare src dst # which does not undo it
out_has '"removed": 1'
out_has '"written": 0'
[ ! -e dst/Cid ] || fail "the pruned person is back"
mkdir dst/Cid
cp dst/.pruned/Cid/1.jpg dst/Cid
expect 0 dataset prune --min-images 2 --apply dst # the same picture lies there
out_has '"moved": 1'
expect 0 dataset duplicates --apply --removed twice dst
out_has '"moved": 2'
[ -s twice/Ada/2.jpg ] && [ ! -e dst/Ada/2.jpg ] || fail "the duplicates were not moved"

# Files that cannot be decoded are the same when their bytes are.
mkdir -p junk/A
echo junk >junk/A/1.jpg
cp junk/A/1.jpg junk/A/2.jpg
expect 0 dataset duplicates junk
out_has '"same_bytes": true'
out_has '"chosen": 1'

expect 2 dataset
expect 2 dataset everything dst
err_has "expected prepare, stats"
expect 2 dataset prepare src
err_has "prepare takes two folders"
expect 2 dataset stats src dst
expect 2 dataset prune src
expect 2 dataset split src dst
expect 2 dataset stats --min-images 2 src
err_has "stats takes no --min-images: it belongs to prune"
expect 2 dataset stats --apply src
expect 2 dataset prepare --apply src dst
expect 2 dataset prepare --distance 1 src dst
expect 2 dataset prune --min-images 2 --distance 1 dst
expect 2 dataset split --val 0.5 --model x src dst
expect 2 dataset outliers --seed 0 dst
expect 2 dataset outliers --margin 0 dst
err_has "outliers takes no --margin: it belongs to prepare"
expect 2 dataset prepare --face 3 src dst
expect 2 dataset split --val 1 src dst
expect 1 dataset stats nowhere
lines err 1
expect 1 dataset prepare src src
err_has "a folder of its own"
expect 3 dataset prepare --models nowhere src dst3
