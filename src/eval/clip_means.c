// SPDX-License-Identifier: Apache-2.0
//
// The mean vector of each clip. Frames that are pictures go down the road as the photographs of every other
// protocol do, through the cache; a video is decoded and its frames go down one by one. Frames without a face
// over the centre are left out, as in the measurement of FaceNet on YouTube Faces (Schroff et al. 2015,
// section 5.7); where no frame has one, the central boxes stand in, so that no clip is dropped.
#include "eval/clips.h"

#include "base/alloc.h"
#include "base/error.h"

#include <facenet/video.h>
#include <stdlib.h>
#include <string.h>

/// Sums over the frames of one clip: those with a face, and the central boxes of the others.
typedef struct sums {
    double *face, *central; // (dimension)
    size_t n_face, n_central;
} sums;

static void add_vector(double *sum, const float *vector, int dimension) {
    for (int i = 0; i < dimension; i++)
        sum[i] += (double)vector[i];
}

static int settle(fn_clips *clips, fn_clip *clip, const sums *s) {
    const size_t n = s->n_face ? s->n_face : s->n_central;
    const double *sum = s->n_face ? s->face : s->central;
    clip->mean = fn_calloc((size_t)clips->dimension, sizeof *clip->mean);
    if (!clip->mean)
        return fn_fail_memory();
    for (int i = 0; i < clips->dimension; i++)
        clip->mean[i] = sum[i] / (double)n;
    clip->n_used = n;
    clip->missed = s->n_face == 0;
    clip->n_faceless = s->n_face ? s->n_central : 0;
    return FN_OK;
}

/// The central box of a frame, x 30..70 %, y 28..76 %, as for photographs.
static int embed_central_box(float *vector, fn_recognizer *recognizer, const fn_image *image) {
    const float width = (float)image->width, height = (float)image->height;
    fn_face face = {.box = {0.30F * width, 0.28F * height, 0.40F * width, 0.48F * height}};
    const int rc = fn_detector_landmarks(fn_recognizer_detector(recognizer), image, &face);
    return rc < 0 ? rc : fn_embedder_faces(fn_recognizer_embedder(recognizer), image, &face, 1, vector);
}

static int is_central(void *user, const fn_analysis *found, size_t face) {
    (void)user;
    return fn_eval_central_face(found->faces, found->n_faces, found->width, found->height) == (int)face;
}

static int add_frame(sums *s, float *vector, fn_recognizer *recognizer, const fn_image *image) {
    fn_analyze_options options = FN_ANALYZE_OPTIONS_INIT;
    fn_analysis *analysis = NULL;
    options.wanted = is_central;
    int rc = fn_recognizer_image(recognizer, image, &options, &analysis);
    if (rc < 0)
        return rc;
    const int face =
        fn_eval_central_face(analysis->faces, analysis->n_faces, analysis->width, analysis->height);
    if (face >= 0) {
        s->n_face++;
        add_vector(s->face, analysis->embeddings + (size_t)face * (size_t)analysis->dimension,
                   analysis->dimension);
    } else if (s->n_face == 0) { // once there is a face the boxes are of no use
        rc = embed_central_box(vector, recognizer, image);
        if (rc == FN_OK)
            add_vector(s->central, vector, analysis->dimension);
    }
    s->n_central += face < 0;
    fn_analysis_free(analysis);
    return rc;
}

/// A video that is damaged half-way counts with the frames before.
static int read_video(sums *s, float *vector, fn_recognizer *recognizer, const fn_clip *clip, int n_frames,
                      const fn_control *control) {
    fn_video *video = NULL;
    int rc = fn_video_open(&video, clip->video, NULL, control);
    for (int i = 0; i < n_frames && rc == FN_OK; i++) {
        fn_frame *frame = NULL;
        rc = fn_video_next(video, &frame);
        if (rc == FN_OK && !frame)
            break;
        if (rc == FN_OK)
            rc = add_frame(s, vector, recognizer, fn_frame_image(frame));
        fn_frame_free(frame);
    }
    fn_video_free(video);
    if ((rc == FN_EFORMAT || rc == FN_EIO) && s->n_face + s->n_central > 0) {
        fn_control_log(control, FN_LOG_WARNING, "%s: after %zu frames: %s", clip->name,
                       s->n_face + s->n_central, fn_last_error());
        rc = FN_OK;
    }
    return rc;
}

/// A clip that cannot be used is marked.
static int unreadable(fn_clips *clips, fn_clip *clip, int rc, const fn_control *control) {
    if (rc == FN_ENOMEM || rc == FN_ECANCELLED)
        return rc;
    fn_control_log(control, FN_LOG_WARNING, "%s: left out", fn_last_error());
    clip->failed = 1;
    clips->n_unreadable++;
    return FN_OK;
}

static void clear(sums *s, int dimension) {
    memset(s->face, 0, (size_t)dimension * sizeof *s->face);
    memset(s->central, 0, (size_t)dimension * sizeof *s->central);
    s->n_face = s->n_central = 0;
}

/// The frames of the clip with that index, which follow each other. *at moves behind them.
static void sum_frames(sums *s, const fn_clips *clips, size_t index, size_t *at) {
    const fn_photos *frames = &clips->frames;
    for (; *at < frames->n && frames->data[*at].person == index; ++*at) {
        const int missed = frames->data[*at].missed;
        add_vector(missed ? s->central : s->face, fn_photos_vector(frames, *at), clips->dimension);
        s->n_face += !missed;
        s->n_central += missed != 0;
    }
}

static int by_clip(const void *a, const void *b) {
    const fn_photo *x = a, *y = b;
    if (x->person != y->person)
        return x->person < y->person ? -1 : 1;
    return fn_compare_natural(x->path, y->path);
}

static int embed_frames(fn_clips *clips, fn_recognizer *recognizer, const fn_eval_options *options,
                        const fn_control *control) {
    if (!clips->frames.n)
        return FN_OK;
    qsort(clips->frames.data, clips->frames.n, sizeof *clips->frames.data, by_clip);
    return fn_photos_embed(&clips->frames, recognizer, options, 0, control);
}

int fn_clips_embed(fn_clips *clips, fn_recognizer *recognizer, const fn_eval_options *options, int n_frames,
                   const fn_control *control) {
    const fn_embedder *embedder = fn_recognizer_embedder(recognizer);
    if (!embedder)
        return fn_fail(FN_EINVAL, "an evaluation needs a recognizer with an embedder");
    clips->dimension = fn_embedder_dimension(embedder);
    const size_t d = (size_t)clips->dimension;
    sums s = {.face = fn_calloc(d, sizeof *s.face), .central = fn_calloc(d, sizeof *s.central)};
    float *vector = fn_calloc(d, sizeof *vector);
    size_t at = 0;
    int rc = s.face && s.central && vector ? FN_OK : fn_fail_memory();
    if (rc == FN_OK)
        rc = embed_frames(clips, recognizer, options, control);
    for (size_t i = 0; i < clips->n && rc == FN_OK; i++) {
        fn_clip *clip = &clips->data[i];
        clear(&s, clips->dimension);
        if (clip->video)
            rc = read_video(&s, vector, recognizer, clip, n_frames, control);
        else
            sum_frames(&s, clips, i, &at);
        if (rc == FN_OK && s.n_face + s.n_central == 0)
            rc = fn_fail(FN_EFORMAT, "%s: none of its frames could be read", clip->name);
        rc = rc == FN_OK ? settle(clips, clip, &s) : unreadable(clips, clip, rc, control);
        if (rc == FN_OK && clip->video)
            rc = fn_control_step(control, i + 1, clips->n);
        clips->n_used += clip->n_used;
        clips->n_faceless += clip->n_faceless;
        clips->n_missed += clip->missed != 0;
    }
    fn_free(vector);
    fn_free(s.central);
    fn_free(s.face);
    return rc;
}
