// SPDX-License-Identifier: Apache-2.0
//
// facenet.h: everything. Photographs go in, names come out.
#ifndef FACENET_H
#define FACENET_H

#include <facenet/align.h>
#include <facenet/base.h>
#include <facenet/classify.h>
#include <facenet/dataset.h>
#include <facenet/decode.h>
#include <facenet/detect.h>
#include <facenet/draw.h>
#include <facenet/embed.h>
#include <facenet/eval.h>
#include <facenet/image.h>
#include <facenet/match.h>
#include <facenet/metric.h>
#include <facenet/model.h>
#include <facenet/pipeline.h>
#include <facenet/quality.h>
#include <facenet/store.h>
#include <facenet/stream.h>
#include <facenet/timeline.h>
#include <facenet/track.h>
#include <facenet/train.h>
#include <facenet/video.h>

#endif
