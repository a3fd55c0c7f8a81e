#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A classifier is trained on a folder per person and names those people in other photographs.
. "$(dirname "$0")/lib.sh"
with_models
photos=$FACENET_DEMO

# Three people in two cuts each: faces 0, 1, 2 of one photograph.
mkdir cuts
for template in eyes-200 dlib-150; do
    "$FACENET" align -q --out cuts/$template --template $template "$photos/sample1.jpg" >/dev/null
    for face in 0 1 2; do
        mkdir -p "people/Person $face"
        cp cuts/$template/sample1.$face.* "people/Person $face/$template.${template#*-}.jpg"
    done
done

for kind in svm knn; do
    expect 0 classify train people --out $kind.json --kind $kind --k 1
    lines out 6
    equal "$(field 1 2),$(field 1 3),$(field 6 3)" "taken,Person 0,Person 2"
    err_has "$kind.json: 3 people from 6 photographs"
    equal "$(stat -c %a $kind.json)" 600
    # The same photographs give the same file.
    expect 0 classify train people --out again.json --kind $kind --k 1
    cmp $kind.json again.json || fail "two trainings differ"

    expect 0 classify predict $kind.json "$photos/sample1.jpg"
    equal "$(cut -f2,3 out | tr '\t\n' ':|')" "0:Person 0|1:Person 1|2:Person 2|"
    # Somebody of them in another photograph.
    expect 0 classify predict $kind.json "$photos/sample3.jpg"
    equal "$(field 2 5)" "Person 2"
    expect 0 classify predict $kind.json --min-probability 1 --json "$photos/sample1.jpg" "$photos/sample3.jpg"
    lines out 2
    out_has '"probability":'
    out_has '"best":{"name":"Person 0"'
done
# Neighbours beyond the distance of FMR 1e-3 vote for nobody.
expect 0 classify predict knn.json "$photos/sample2.jpg" "$photos/sample6.jpg"
equal "$(cut -f3,4,5 out | sort -u | tr '\t' ':')" "unknown:0.0000:-"
expect 0 classify predict svm.json --face largest "$photos/sample1.jpg"
lines out 1
expect 0 classify predict svm.json --draw marked "$photos/sample1.jpg"
[ -s marked/sample1.jpg ] || fail "no marked picture"

# A person of one photograph is a warning, all of them an error.
mkdir -p "few/Ada" "few/Grace" singles/Ada singles/Grace
cp people/Person\ 0/*.jpg few/Ada
cp people/Person\ 1/eyes* few/Grace
expect 0 classify train few --out few.json
err_has '1 of 2 people have a single photograph ("Grace" is one)'
cp people/Person\ 0/eyes* singles/Ada
cp people/Person\ 1/eyes* singles/Grace
expect 1 classify train singles --out singles.json
err_has "nobody has two photographs"
[ ! -e singles.json ] || fail "a file in spite of the error"
cp "$photos/sample1.jpg" few/stray.jpg
expect 1 classify train few --out few.json
equal "$(cut -f2 out | sort | uniq -c | tr -s ' ' | tr '\n' '|')" " 1 refused| 3 taken|"
out_has "lies beside the folders of people"
expect 1 classify train few/Ada --out none.json
err_has "no photograph could be used"

# What cannot be used is said.
expect 2 classify train people
err_has "train needs --out FILE"
expect 2 classify teach people
err_has "expected train or predict"
expect 1 classify train nowhere --out x.json
expect 1 classify train people --out no/such/folder/x.json
err_has "cannot be written"
expect 3 classify predict people/none.json "$photos/sample1.jpg"
head -c 300 svm.json >cut.json
expect 3 classify predict cut.json "$photos/sample1.jpg"
err_has "cut.json: not a classifier"
expect 3 classify predict svm.json --model dlib "$photos/sample1.jpg"
err_has "trained on embeddings of another model"
# Nothing to look at is a mistake, unless a list says what.
expect 2 classify predict svm.json
err_has "predict wants photographs"
echo "$photos/sample1.jpg" >list
expect 0 classify predict svm.json --files-from list
lines out 3
# A file for vectors of another length than the model's, which pretends to be of that model.
sed 's/"dimension": 128/"dimension": 64/' knn.json >short.json
expect 3 classify predict short.json "$photos/sample1.jpg"
python3 - <<'END'
import base64, json
c = json.load(open("knn.json"))
c["dimension"] = 65536
c["labels"] = [0]
c["rows"] = base64.b64encode(bytes(4 * 65536)).decode()
json.dump(c, open("wide.json", "w"))
END
expect 3 classify predict wide.json "$photos/sample1.jpg"
err_has "wide.json: for embeddings of 65536 numbers, those of the model have 128"
# A folder whose name no file could hold is said before any work.
cp -r people latin
mv "latin/Person 1" "latin/$(printf 'Ren\351')"
expect 1 classify train latin --out latin.json
lines out 0
err_has "latin/Ren\xE9: the name is not UTF-8"
[ ! -e latin.json ] || fail "a file in spite of the error"
