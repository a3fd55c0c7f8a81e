// SPDX-License-Identifier: Apache-2.0
//
// Which faces are kept. A frame with exactly one good face is a good frame; of every so many good ones one is
// offered, and it is kept unless it is nearly the same as one that is kept, or its pose has been had often
// enough while others are missing. A pose is never refused for long: whoever cannot turn the head gets done
// too, only later.
//
// Two crops are compared as small grey pictures, 16 x 16 without what lies outside an ellipse around the
// face, at mean 0 and deviation 1, so that neither the ground nor the light counts. Root mean square
// differences as measured on eyes-200:
//   a photograph filmed with strong noise     half below 0.05, the largest of 150 frames below 0.11
//   a talking head, 5 frames apart            half above 0.73, 95 % above 0.33
//   a talking head, consecutive frames        half above 0.25
//   a photograph tilted slowly, 5 frames apart  half above 0.27, 95 % above 0.09
// The distance of embeddings does not part these: they are trained not to see what changes (noise 0.12,
// tilting 0.14 at 5 frames).
#include "capture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ALIKE 0.15F
// The ellipse, in parts of the crop's side.
#define CENTRE_Y 0.54F
#define RADIUS_X 0.32F
#define RADIUS_Y 0.40F

// Degrees from the front at which a pose begins. Pitch is measured about 8 degrees too low (quality.h).
#define TURNED_YAW 15.0F
#define TURNED_PITCH 12.0F
#define LEVEL_PITCH (-8.0F)
#define SIDE_PERCENT 15 // share of the count for each pose but the front

#define LEAST_EYES 0.22F // distance of the eyes, in widths of the box

// How long a pose that was had often enough waits: less from one to the next.
#define WAIT_S 3.0
#define WAIT_SHRINK 0.7
#define LEAST_WAIT_S 0.3

static void fill_quotas(cli_judge *judge) {
    const int side = judge->count * SIDE_PERCENT / 100;
    for (int pose = 0; pose < FN_METER_POSE_LEN; pose++)
        judge->quota[pose] = side;
    judge->quota[FN_METER_POSE_FRONT] = judge->count - (FN_METER_POSE_LEN - 1) * side;
}

int cli_judge_init(cli_judge *judge, const fn_template *tmpl, int count, int every, int is_guided) {
    *judge = (cli_judge){.tmpl = tmpl, .count = count, .every = every, .is_guided = is_guided, .pose = -1};
    fill_quotas(judge);
    judge->crop = malloc((size_t)tmpl->width * (size_t)tmpl->height * 3);
    return judge->crop ? FN_OK : FN_ENOMEM;
}

void cli_judge_free(cli_judge *judge) {
    free(judge->crop);
    free(judge->known);
    *judge = (cli_judge){0};
}

// ---- small pictures ----------------------------------------------------------------------------------

static int is_face(int cell) {
    const float u = (((float)(cell % CLI_SMALL) + 0.5F) / CLI_SMALL - 0.5F) / RADIUS_X;
    const float v = (((float)(cell / CLI_SMALL) + 0.5F) / CLI_SMALL - CENTRE_Y) / RADIUS_Y;
    return u * u + v * v <= 1;
}

// Mean luma of the pixels of a cell. crop: RGB, at least as large as the small picture.
static float cell_luma(const fn_image *crop, int cell) {
    const int column = cell % CLI_SMALL, row = cell / CLI_SMALL;
    const int x1 = (column + 1) * crop->width / CLI_SMALL, y1 = (row + 1) * crop->height / CLI_SMALL;
    uint64_t sum = 0, n = 0;
    for (int y = row * crop->height / CLI_SMALL; y < y1; y++)
        for (int x = column * crop->width / CLI_SMALL; x < x1; x++, n++) {
            const uint8_t *p = crop->data + y * crop->stride_bytes + x * 3;
            sum += 299U * p[0] + 587U * p[1] + 114U * p[2];
        }
    return (float)sum / (float)n / 1000;
}

static void make_small(float *small, const fn_image *crop) {
    float sum = 0, squares = 0;
    int n = 0;
    for (int cell = 0; cell < CLI_SMALL * CLI_SMALL; cell++) {
        small[cell] = is_face(cell) ? cell_luma(crop, cell) : 0;
        sum += small[cell];
        squares += small[cell] * small[cell];
        n += is_face(cell);
    }
    const float mean = sum / (float)n, deviation = sqrtf(fmaxf(0, squares / (float)n - mean * mean));
    for (int cell = 0; cell < CLI_SMALL * CLI_SMALL; cell++)
        small[cell] = is_face(cell) ? (small[cell] - mean) / (deviation + 1) : 0; // 1: a flat one stays flat
}

static int is_known(const cli_judge *judge) {
    int n = 0;
    for (int cell = 0; cell < CLI_SMALL * CLI_SMALL; cell++)
        n += is_face(cell);
    for (size_t k = judge->n_known; k-- > 0;) {
        float squares = 0;
        for (int cell = 0; cell < CLI_SMALL * CLI_SMALL; cell++) {
            const float d = judge->small[cell] - judge->known[k][cell];
            squares += d * d;
        }
        if (squares < ALIKE * ALIKE * (float)n)
            return 1;
    }
    return 0;
}

static int remember(cli_judge *judge, const float *small) {
    if (judge->n_known == judge->room) {
        const size_t room = judge->room ? 2 * judge->room : 64;
        void *more = realloc(judge->known, room * sizeof *judge->known);
        if (!more)
            return FN_ENOMEM;
        judge->known = more;
        judge->room = room;
    }
    memcpy(judge->known[judge->n_known++], small, sizeof *judge->known);
    return FN_OK;
}

int cli_judge_know(cli_judge *judge, const fn_image *crop) {
    float small[CLI_SMALL * CLI_SMALL];
    if (crop->format != FN_PIXEL_RGB8 || crop->width != judge->tmpl->width ||
        crop->height != judge->tmpl->height)
        return FN_OK;
    make_small(small, crop);
    return remember(judge, small);
}

// ---- poses -------------------------------------------------------------------------------------------

// As the person turns, which is what a mirror shows: the nose to the picture's right is the person's left.
static int pose_of(const fn_quality *quality) {
    const float across = quality->yaw / TURNED_YAW, up = (quality->pitch - LEVEL_PITCH) / TURNED_PITCH;
    if (fabsf(across) < 1 && fabsf(up) < 1)
        return FN_METER_POSE_FRONT;
    if (fabsf(across) >= fabsf(up))
        return across > 0 ? FN_METER_POSE_LEFT : FN_METER_POSE_RIGHT;
    return up > 0 ? FN_METER_POSE_UP : FN_METER_POSE_DOWN;
}

static int has_enough(const cli_judge *judge, int pose) {
    return judge->kept[pose] >= judge->quota[pose];
}

static int may_be_surplus(const cli_judge *judge, double time_s) {
    const double wait = fmax(LEAST_WAIT_S, WAIT_S * pow(WAIT_SHRINK, judge->n_surplus));
    return time_s - judge->kept_s >= wait;
}

const char *cli_pose_name(int pose) {
    static const char *const names[FN_METER_POSE_LEN] = {
        [FN_METER_POSE_FRONT] = "front", [FN_METER_POSE_LEFT] = "left", [FN_METER_POSE_RIGHT] = "right",
        [FN_METER_POSE_UP] = "up",       [FN_METER_POSE_DOWN] = "down",
    };
    return pose >= 0 && pose < FN_METER_POSE_LEN ? names[pose] : "-";
}

const char *cli_judge_hint(const cli_judge *judge) {
    static const char *const hints[FN_METER_POSE_LEN] = {
        [FN_METER_POSE_FRONT] = "look into the camera",
        [FN_METER_POSE_LEFT] = "turn a little to the left",
        [FN_METER_POSE_RIGHT] = "turn a little to the right",
        [FN_METER_POSE_UP] = "look up a little",
        [FN_METER_POSE_DOWN] = "look down a little",
    };
    if (!judge->is_guided)
        return "";
    int most = -1;
    for (int pose = 0; pose < FN_METER_POSE_LEN; pose++)
        if (!has_enough(judge, pose) &&
            (most < 0 || judge->kept[pose] * judge->quota[most] < judge->kept[most] * judge->quota[pose]))
            most = pose;
    return most >= 0 ? hints[most] : "";
}

const char *cli_refusal_text(cli_refusal refusal) {
    switch (refusal) {
    case CLI_REFUSED_NOBODY:
        return "nobody in the picture";
    case CLI_REFUSED_SEVERAL:
        return "more than one person in the picture";
    case CLI_REFUSED_ALIKE:
        return "like one that is kept: move your head a little";
    case CLI_REFUSED_POSE:
        return "enough like this";
    case CLI_REFUSED_ODD:
        return "the face is not seen well enough to be measured";
    case CLI_REFUSED_ANOTHER:
        return "another person than before";
    default:
        return fn_quality_fault_text(1U << refusal);
    }
}

// ---- the verdict -------------------------------------------------------------------------------------

static int refuse(cli_judge *judge, cli_refusal why) {
    judge->verdict = CLI_REFUSED;
    judge->refusal = why;
    judge->n_refused[why]++;
    return FN_OK;
}

// A face that the detector got wrong is refused like any other that is not good.
static int refuse_odd(cli_judge *judge, int rc) {
    if (rc == FN_ENOMEM)
        return rc;
    judge->pose = -1;
    return refuse(judge, CLI_REFUSED_ODD);
}

// What the detector takes for a face in a smear of motion is given landmarks too, but they do not fill it.
// From the front the eyes are 0.38 to 0.48 of the box apart, turned by 45 degrees 0.25 and more; in such a
// smear 0.18.
static int has_eyes_of_a_face(const fn_face *face) {
    float x[2] = {0, 0}, y[2] = {0, 0};
    for (int eye = 0; eye < 2; eye++)
        for (int k = 36 + 6 * eye; k < 42 + 6 * eye; k++) {
            x[eye] += face->landmarks[k].x / 6;
            y[eye] += face->landmarks[k].y / 6;
        }
    return hypotf(x[1] - x[0], y[1] - y[0]) >= LEAST_EYES * face->box.width;
}

int cli_judge_look(cli_judge *judge, const fn_stream_frame *now) {
    judge->pose = -1;
    if (now->n_faces != 1)
        return refuse(judge, now->n_faces ? CLI_REFUSED_SEVERAL : CLI_REFUSED_NOBODY);
    const fn_image *image = fn_frame_image(now->frame);
    const fn_face *face = &now->faces[0].face;
    int rc = fn_quality_measure(&judge->quality, image, face);
    if (rc < 0)
        return refuse_odd(judge, rc);
    judge->pose = pose_of(&judge->quality);
    const unsigned faults = fn_quality_faults(&judge->quality, NULL);
    for (int bit = 0; bit < CLI_REFUSED_NOBODY; bit++)
        if (faults & (1U << bit))
            return refuse(judge, (cli_refusal)bit);
    if (!has_eyes_of_a_face(face))
        return refuse(judge, CLI_REFUSED_NOBODY);
    judge->n_good++;
    if (++judge->n_waited < judge->every) {
        judge->verdict = CLI_WAITING;
        return FN_OK;
    }
    rc = fn_align(judge->crop, judge->tmpl, image, face);
    if (rc < 0)
        return refuse_odd(judge, rc);
    const fn_image crop = {judge->crop, judge->tmpl->width, judge->tmpl->height,
                           (ptrdiff_t)judge->tmpl->width * 3, FN_PIXEL_RGB8};
    make_small(judge->small, &crop);
    if (is_known(judge))
        return refuse(judge, CLI_REFUSED_ALIKE);
    if (judge->is_guided && has_enough(judge, judge->pose) && !may_be_surplus(judge, now->time_s))
        return refuse(judge, CLI_REFUSED_POSE);
    judge->verdict = CLI_KEEP;
    judge->kept_s = now->time_s;
    return FN_OK;
}

void cli_judge_withdraw(cli_judge *judge, cli_refusal why) {
    refuse(judge, why);
}

int cli_judge_kept(cli_judge *judge) {
    judge->n_surplus = has_enough(judge, judge->pose) ? judge->n_surplus + 1 : 0;
    judge->kept[judge->pose]++;
    judge->n_kept++;
    judge->n_waited = 0;
    return remember(judge, judge->small);
}
