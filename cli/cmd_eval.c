// SPDX-License-Identifier: Apache-2.0
//
// facenet eval: how good is it, on folders of photographs of known people.
#include "cli.h"
#include "output.h"
#include "progress.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_FMR 1e-4

static const char *pairs_path, *data, *out_path, *cache, *against;
static int no_cache, do_write, seed = 1, frames;
static double fmr = DEFAULT_FMR;

static const cli_option options[] = {
    {"pairs", 0, "FILE",
     "pairs: the list, in the form of LFW's pairs.txt; videos: lines of fold, clip, clip, 1 or 0", CLI_TEXT,
     &pairs_path, 0, 0},
    {"data", 0, "NAME", "calibrate: how the record calls these photographs", CLI_TEXT, &data, 0, 0},
    {"write", 0, NULL, "calibrate: put the result into the file that --model names, too", CLI_FLAG, &do_write,
     0, 0},
    {"against", 0, "NAME|FILE",
     "an older model, beside which --model was trained (train --loss harmonic): one photograph of each pair, "
     "the enrolled one, is embedded by it",
     CLI_TEXT, &against, 0, 0},
    {"out", 0, "FILE", "write the result into FILE instead of standard output", CLI_TEXT, &out_path, 0, 0},
    {"frames", 0, "N", "videos: take so many frames of each clip, the first ones [100]", CLI_COUNT, &frames,
     1, 1000000},
    {"seed", 0, "N", "identify: of the choice of who is enrolled; videos: of the folds [1]", CLI_COUNT, &seed,
     0, 2147483647},
    {"fmr", 0, "RATE", "identify: false-match rate of the decisions [1e-4]", CLI_REAL, &fmr, 1e-12, 0.5},
    {"cache", 0, "FILE", "where vectors are kept [$XDG_CACHE_HOME/facenet/embeddings.db]", CLI_TEXT, &cache,
     0, 0},
    {"no-cache", 0, NULL, "compute every vector, keep none", CLI_FLAG, &no_cache, 0, 0},
    {"detector", 0, "blazeface|ssd", "networks that find faces [blazeface]", CLI_CHOICE, &cli.detector, 0, 0},
    {"jobs", 0, "N", "pictures worked on at once [one per processor]", CLI_COUNT, &cli.jobs, 1, 1024},
    {"quiet", 'q', NULL, "only errors on stderr: no progress, no notes", CLI_FLAG, &cli.quiet, 0, 0},
    {0},
};

static const cli_command command = {
    .name = "eval",
    .operands = "pairs --pairs FILE ROOT\nall-pairs ROOT\nidentify ROOT\nvideos [--pairs FILE] ROOT\n"
                "calibrate ROOT --data NAME",
    .about =
        "Measures recognition on the folder ROOT with one folder of photographs per person, and prints\n"
        "JSON. Each photograph counts with the face nearest its centre; where no face covers the centre\n"
        "it is a miss, and its central part is taken, so that no photograph is dropped.\n"
        "  pairs      LFW's protocol: are two photographs of one person? Accuracy by cross-validation\n"
        "  all-pairs  the same over every pair under ROOT, at false-accept rates down to 1e-6\n"
        "  identify   enrols one photograph of half of the people who have two; the others are probes\n"
        "  videos     the protocol of YouTube Faces on clips, ROOT/PERSON/CLIP/ with frames or a video file\n"
        "             ROOT/PERSON/CLIP.mp4: the mean similarity over all pairs of frames of two clips\n"
        "  calibrate  what distances mean: the calibration of the model, for its metadata. With --against,\n"
        "             of distances to the vectors of another, which a gallery may hold",
    .options = options,
    .shared = CLI_SHARED_MODEL | CLI_SHARED_MODELS,
    .min_operands = 2,
    .max_operands = 2,
};

static int progress(void *user, uint64_t done, uint64_t total) {
    uint64_t *known = user;
    if (total && !*known) {
        *known = total;
        cli_progress_start(total);
    }
    cli_progress_show(done);
    return 0;
}

static void tell(void *user, fn_log_level level, const char *message) {
    (void)user;
    if (level == FN_LOG_WARNING)
        cli_note("%s", message);
}

static int measure(char **report, fn_recognizer *recognizer, fn_recognizer *older, const char *protocol,
                   const char *root) {
    fn_eval_options eval = FN_EVAL_OPTIONS_INIT;
    fn_control control = FN_CONTROL_INIT;
    uint64_t total = 0;
    eval.jobs = cli.jobs;
    eval.cache = no_cache ? "" : cache;
    eval.seed = (uint64_t)seed;
    eval.fmr = fmr;
    eval.against = older;
    eval.frames = frames;
    control.user = &total;
    control.progress = progress;
    control.log = tell;
    int rc = FN_OK;
    if (strcmp(protocol, "pairs") == 0)
        rc = fn_eval_pairs(report, recognizer, pairs_path, root, &eval, &control);
    else if (strcmp(protocol, "all-pairs") == 0)
        rc = fn_eval_all_pairs(report, recognizer, root, &eval, &control);
    else if (strcmp(protocol, "identify") == 0)
        rc = fn_eval_identify(report, recognizer, root, &eval, &control);
    else if (strcmp(protocol, "videos") == 0)
        rc = fn_eval_videos(report, recognizer, pairs_path, root, &eval, &control);
    else
        rc = fn_eval_calibrate(report, recognizer, root, data, &eval, &control);
    cli_progress_clear();
    if (rc == FN_ESTORE) { // of the cache, not of a gallery
        cli_error("%s (or give --no-cache)", fn_last_error());
        return CLI_INPUTS;
    }
    return rc < 0 ? cli_failure(rc) : CLI_DONE;
}

// The same faces, embedded by the other model.
static int open_older(fn_recognizer **out) {
    const char *model = cli.model;
    *out = NULL;
    if (!against)
        return CLI_DONE;
    cli.model = against;
    const int code = cli_recognizer_open(out, 0);
    cli.model = model;
    return code;
}

static int write_calibration(const char *calibration, fn_recognizer *older) {
    const fn_embedder *other = older ? fn_recognizer_embedder(older) : NULL;
    const int rc =
        other ? fn_eval_write_calibration_against(cli.model, calibration, fn_embedder_fingerprint(other))
              : fn_eval_write_calibration(cli.model, calibration, cli.mirror);
    if (rc < 0)
        cli_error("%s", fn_last_error());
    return rc < 0 ? CLI_INPUTS : CLI_DONE;
}

static int write_report(const char *report) {
    if (!out_path) {
        puts(report);
        return CLI_DONE;
    }
    const size_t n = strlen(report);
    char *text = malloc(n + 1);
    int rc = FN_ENOMEM;
    if (text) {
        memcpy(text, report, n);
        text[n] = '\n';
        rc = fn_write_file(out_path, text, n + 1, 0666);
    }
    free(text);
    return rc < 0 ? cli_failure(rc) : CLI_DONE;
}

// What could not be read was told while it was measured, and is left out of the figures.
static int has_unreadable(const char *report) {
    json_t *object = json_loads(report, 0, NULL);
    const int n = (int)json_integer_value(json_object_get(object, "unreadable"));
    json_decref(object);
    return n > 0;
}

int cmd_eval(int argc, char **argv) {
    int n, end = cli_parse(&command, argc, argv, &n);
    if (end >= 0)
        return end;
    const char *protocol = argv[1];
    int is_pairs = strcmp(protocol, "pairs") == 0, is_calibrate = strcmp(protocol, "calibrate") == 0;
    int is_videos = strcmp(protocol, "videos") == 0;
    if (!is_pairs && !is_calibrate && !is_videos && strcmp(protocol, "all-pairs") &&
        strcmp(protocol, "identify"))
        return cli_usage_error(
            &command, "expected pairs, all-pairs, identify, videos or calibrate, not \"%s\"", protocol);
    if (frames && !is_videos)
        return cli_usage_error(&command, "--frames is for videos");
    if (!is_videos && is_pairs != (pairs_path != NULL))
        return cli_usage_error(&command, "pairs and --pairs FILE go together");
    if (is_calibrate != (data != NULL))
        return cli_usage_error(&command, "calibrate and --data NAME go together");
    if (do_write && !is_calibrate)
        return cli_usage_error(&command, "--write is for calibrate");
    if (do_write && !(cli.model && access(cli.model, W_OK) == 0))
        return cli_usage_error(&command, "--write wants a model file of your own: --model FILE.onnx");
    if (cache && no_cache)
        return cli_usage_error(&command, "--cache and --no-cache exclude each other");
    fn_recognizer *recognizer = NULL, *older = NULL;
    char *report = NULL;
    int code = cli_recognizer_open(&recognizer, 0);
    if (code == CLI_DONE)
        code = open_older(&older);
    if (code == CLI_DONE)
        code = measure(&report, recognizer, older, protocol, argv[2]);
    if (code == CLI_DONE && do_write)
        code = write_calibration(report, older);
    if (code == CLI_DONE)
        code = write_report(report);
    if (code == CLI_DONE && has_unreadable(report))
        code = CLI_INPUTS;
    fn_string_free(report);
    fn_recognizer_free(older);
    fn_recognizer_free(recognizer);
    return code;
}
