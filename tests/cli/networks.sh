#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The networks to train: their list, and one of them layer by layer.
. "$(dirname "$0")/lib.sh"

expect 0 model networks
for name in nn1 nn2 nn3 nn4 nns1 nns2 openface-nn2 openface-nn4 nn4.small1 nn4.small2 nn4.small2.openface \
    nn4.small2.keras nn4.small2.course inception-resnet-v1 dlib-resnet mobilefacenet; do
    cut -f1 out | grep -qxF "$name" || fail "$name is missing"
done
n=$(wc -l <out)
expect 0 model networks --json
lines out "$n"

# 3,733,968 numbers are learnt, 3,743,280 with running statistics.
expect 0 model info nn4.small2
equal "$(field 1 1)/$(field 1 2)/$(field 1 3)/$(field 1 4)/$(field 1 5)" Conv/conv1/7x7/2/1x64x48x48/9472
equal "$(awk -F'\t' '$1 == "total" { print $5 }' out)" 3733968
equal "$(awk -F'\t' '$1 == "with statistics" { print $5 }' out)" 3743280
equal "$(awk -F'\t' '$1 != "total" && $5 ~ /^[0-9]+$/ && $1 != "with statistics" { n += $5 } END { print n }' out)" 3733968
equal "$(awk -F'\t' 'NF != 6' out)" ""
expect 0 model info nn4.small2.openface
products=$(awk -F'\t' '$1 == "total" { print $6 }' out)
[ "$products" -gt 200050000 ] && [ "$products" -lt 200150000 ] || fail "$products multiply-adds, not 200.1 M"
out_has "LpPool"

expect 0 model info nn4.small2 --embedding 64
out_has "1x64"
equal "$(awk -F'\t' '$1 == "total" { print $5 }' out)" $((3733968 - 64 * 737))
expect 0 model info nn4.small2 --json
out_has '"parameters":3733968'
lines out 1
expect 2 model info nn4.small2 --embedding 63
err_has "from 64 to 512"
expect 3 model info inception-resnet-v1 --size 40
err_has "the input must be larger"
lines err 1
expect 3 model info nn4.small3
lines err 1
err_has "mobilefacenet, dlib"
err_has "networks to train: nn1"
err_has "nn4.small2.course"
expect 3 model info ./nn4.onnx
equal "$(grep -c "to train" err)" 0

# The layout as defined and the one of the published weights; each says which it is.
expect 0 model networks
equal "$(grep -c -F "206.9 M multiply-adds" out)/$(grep -c -F "200.1 M multiply-adds" out)" 1/1
for name in nn4.small2 206919680 nn4.small2.openface 200118272 nn4.small2.keras 200118272; do
    case $name in
    nn4*) expect 0 model info "$name" ;;
    *) equal "$(awk -F'\t' '$1 == "total" { print $6 }' out)" "$name" ;;
    esac
done

# An installed model comes before a network of the same name.
expect 0 model info mobilefacenet
out_has "bottleneck1_1"
with_models
expect 0 model info mobilefacenet
out_has "fingerprint"
