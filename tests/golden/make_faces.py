#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the golden texts about faces from the reference runs (JSON) in the folder of the first argument."""
import json
import os
import sys

source = sys.argv[1]
here = os.path.dirname(os.path.abspath(__file__))
faceapi = json.load(open(os.path.join(source, "faceapi_wasm.json")))["images"]
chips = json.load(open(os.path.join(source, "dlib_chip_descriptors.json")))["images"]
extra = json.load(open(os.path.join(source, "extra_ort.json")))["images"]


def numbers(values):
    flat = []
    for v in values:
        flat += v if isinstance(v, list) else [v]
    return " ".join("%.9g" % v for v in flat)


def rect(box):
    return [box[k] for k in ("x", "y", "width" if "width" in box else "w", "height" if "height" in box else "h")]


def write(name, origin, rows):
    with open(os.path.join(here, name), "w") as f:
        f.write("# " + origin + "\n" + "\n".join(rows) + "\n")


write("faceapi_faces.txt",
      "face-api 1.7.15 on its demo photographs: image width height score box(4) crop(4) chip(4) clipped chip(4) "
      "map to dlib's chip(6) landmarks(136)",
      ["%s %d %d %s" % (im["image"], im["width"], im["height"],
                        numbers([f["score"], rect(f["box"]), rect(f["crop"]), rect(f["chip"]), rect(f["chip_clipped"]),
                                 chip["chip_affine_src_to_dst"]] + f["landmarks"]))
       for im, cim in zip(faceapi, chips) for f, chip in zip(im["ssd_mobilenetv1"], cim["faces"])])
write("faceapi_descriptors.txt",
      "face-api 1.7.15, in the order of faceapi_faces.txt: descriptor of the unrotated chip(128), of dlib's chip(128)",
      [numbers([f["descriptor"], chip["dlib_chip_descriptor"]])
       for im, cim in zip(faceapi, chips) for f, chip in zip(im["ssd_mobilenetv1"], cim["faces"])])
write("blazeface_faces.txt",
      "BlazeFace in ONNX Runtime 1.30 on the same photographs: image net score x1 y1 x2 y2 keypoints(12)",
      ["%s %s %s" % (im["image"], net, numbers([f["score"], f["box"], f["keypoints"]]))
       for im in extra for net in ("short", "full") for f in im["blazeface_" + net]])
write("mobilefacenet_faces.txt",
      "MobileFaceNet-192 in ONNX Runtime 1.30 on the same photographs: image five points(10) unit vector(192)",
      ["%s %s" % (im["image"], numbers(f["arc5"] + [f["mobilefacenet_192_l2"]]))
       for im in extra for f in im["embeddings_on_faceapi_ssd_faces"]])
