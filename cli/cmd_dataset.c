// SPDX-License-Identifier: Apache-2.0
//
// facenet dataset: from folders of photographs to folders that networks are trained on.
#include "cli.h"
#include "output.h"
#include "progress.h"

#include <facenet/dataset.h>

#include <string.h>

#define MAX_DISTANCE 2

// A number below its option's least one was not given.
static const char *template_name, *face, *removed;
static int size, margin = -1, quality, min_images, apply, by_person, seed = -1;
static double val, distance;

static const cli_option options[] = {
    {"template", 0, "NAME", "prepare: how faces are cut [arcface-112]", CLI_TEXT, &template_name, 0, 0},
    {"size", 0, "PX", "prepare: width of the template's box [the template's own]", CLI_COUNT, &size, 16,
     1024},
    {"margin", 0, "PX", "prepare: kept around the box [a sixth of its width]", CLI_COUNT, &margin, 0, 1024},
    {"face", 0, "centre|largest", "prepare: which of several faces [centre; the only one wherever it is]",
     CLI_CHOICE, &face, 0, 0},
    {"quality", 0, "N", "prepare: of the JPEG files [95]", CLI_COUNT, &quality, 1, 100},
    {"min-images", 0, "N", "prune: pictures a person must have", CLI_COUNT, &min_images, 1, 1000000},
    {"val", 0, "SHARE", "split: of the people, for validation", CLI_REAL, &val, 1e-6, 0.999999},
    {"seed", 0, "N", "split: of the choice of people [1]", CLI_COUNT, &seed, 0, 2147483647},
    {"by-person", 0, NULL, "split: people, not pictures, are divided; the only way there is", CLI_FLAG,
     &by_person, 0, 0},
    {"distance", 0, "D", "outliers: from the person's centre [1.1]; duplicates: of two pictures [0.3]",
     CLI_REAL, &distance, 1e-6, MAX_DISTANCE},
    {"apply", 0, NULL, "prune, outliers, duplicates: do it instead of only saying it", CLI_FLAG, &apply, 0,
     0},
    {"removed", 0, "DIR", "where --apply moves pictures to [ROOT/.pruned, .outliers, .duplicates]", CLI_TEXT,
     &removed, 0, 0},
    {"detector", 0, "blazeface|ssd", "networks that find faces [blazeface]", CLI_CHOICE, &cli.detector, 0, 0},
    {"jobs", 0, "N", "pictures worked on at once [one per processor]", CLI_COUNT, &cli.jobs, 1, 1024},
    {"quiet", 'q', NULL, "only errors on stderr: no progress, no notes", CLI_FLAG, &cli.quiet, 0, 0},
    {0},
};

static const cli_command command = {
    .name = "dataset",
    .operands = "prepare SRC DST\nstats ROOT\nprune --min-images N ROOT\nsplit --val SHARE ROOT DST\n"
                "outliers ROOT\nduplicates ROOT",
    .about = "Makes and looks over datasets: a folder per person with pictures in it. Prints JSON.\n"
             "  prepare     finds the face nearest the centre of each photograph below SRC and writes it,\n"
             "              turned upright and with a margin, into DST; goes on where it was stopped,\n"
             "              passes over what lies in DST/.pruned, .outliers and .duplicates, and lists in\n"
             "              DST/failures.tsv what gave no face\n"
             "  stats       people, pictures, how many each has, sizes\n"
             "  prune       people with too few pictures\n"
             "  split       into DST/train and DST/val, no person in both; hard links, no copies\n"
             "  outliers    pictures far from the centre of the person's others\n"
             "  duplicates  the same file or photograph twice, of one person and of two\n"
             "prune, outliers and duplicates only report; with --apply they move pictures out of the\n"
             "dataset, and delete none. The folder of a person may be a link. What is made lies outside of\n"
             "what is read.",
    .options = options,
    .shared = CLI_SHARED_MODEL | CLI_SHARED_MODELS,
    .min_operands = 2,
    .max_operands = 3,
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

typedef struct call {
    const char *root, *dst;
    fn_recognizer *recognizer;
    fn_control control;
    fn_inspect_options inspect;
} call;

static int prepare(char **report, const call *c) {
    fn_prepare_options prepare = FN_PREPARE_OPTIONS_INIT;
    prepare.template_name = template_name;
    prepare.size = size;
    prepare.margin = margin;
    prepare.quality = quality;
    prepare.jobs = cli.jobs;
    prepare.face = face && strcmp(face, "largest") == 0 ? FN_PREPARE_FACE_LARGEST : FN_PREPARE_FACE_CENTRE;
    return fn_dataset_prepare(report, c->recognizer, c->root, c->dst, &prepare, &c->control);
}

static int stats(char **report, const call *c) {
    return fn_dataset_stats(report, c->root, cli.jobs, &c->control);
}

static int prune(char **report, const call *c) {
    return fn_dataset_prune(report, c->root, min_images, &c->inspect);
}

static int split(char **report, const call *c) {
    return fn_dataset_split(report, c->root, c->dst, val, seed < 0 ? 1 : (uint64_t)seed);
}

static int outliers(char **report, const call *c) {
    return fn_dataset_outliers(report, c->recognizer, c->root, &c->inspect, &c->control);
}

static int duplicates(char **report, const call *c) {
    return fn_dataset_duplicates(report, c->recognizer, c->root, &c->inspect, &c->control);
}

typedef enum needs { NEEDS_NOTHING, NEEDS_DETECTOR, NEEDS_EMBEDDER } needs;

typedef struct action {
    const char *name;
    int (*run)(char **report, const call *c);
    int n_folders;
    needs needs;
    int says_skipped;    // 1: on the way; 0: in the report alone
    const char *options; // it takes, each between spaces
} action;

static const action actions[] = {
    {"prepare", prepare, 2, NEEDS_DETECTOR, 1,
     " template size margin face quality detector models jobs quiet "},
    {"stats", stats, 1, NEEDS_NOTHING, 1, " jobs quiet "},
    {"prune", prune, 1, NEEDS_NOTHING, 0, " min-images apply removed quiet "},
    {"split", split, 2, NEEDS_NOTHING, 0, " val seed by-person quiet "},
    {"outliers", outliers, 1, NEEDS_EMBEDDER, 1,
     " distance apply removed model mirror models detector jobs quiet "},
    {"duplicates", duplicates, 1, NEEDS_EMBEDDER, 1,
     " distance apply removed model mirror models detector jobs quiet "},
};
#define N_ACTIONS (sizeof actions / sizeof *actions)

static int takes(const action *act, const char *option) {
    size_t n = strlen(option);
    for (const char *at = act->options; (at = strstr(at, option)); at += n)
        if (at[-1] == ' ' && at[n] == ' ')
            return 1;
    return 0;
}

static int is_given(const cli_option *o) {
    switch (o->kind) {
    case CLI_FLAG:
        return *(const int *)o->value != 0;
    case CLI_TEXT:
    case CLI_TEXTS:
    case CLI_CHOICE:
        return *(const char *const *)o->value != NULL;
    case CLI_COUNT:
        return *(const int *)o->value >= (int)o->min;
    case CLI_REAL:
        return *(const double *)o->value >= o->min;
    case CLI_SIZE:
        return *(const uint64_t *)o->value != 0;
    }
    return 0;
}

/// An option that the action does not take is a mistake. -1: there is none; or the exit code.
static int check_options(const action *act) {
    const cli_option *o;
    for (size_t i = 0; (o = cli_option_at(&command, i)); i++) {
        if (!is_given(o) || takes(act, o->name))
            continue;
        char owners[128];
        size_t used = 0;
        for (size_t k = 0; k < N_ACTIONS; k++)
            if (takes(&actions[k], o->name))
                used += (size_t)snprintf(owners + used, sizeof owners - used, "%s%s", used ? ", " : "",
                                         actions[k].name);
        return cli_usage_error(&command, "%s takes no --%s: it belongs to %s", act->name, o->name, owners);
    }
    return -1;
}

static const action *find(const char *name) {
    for (size_t i = 0; i < N_ACTIONS; i++)
        if (strcmp(actions[i].name, name) == 0)
            return &actions[i];
    return NULL;
}

/// Photographs that gave no crop, and what was skipped, make the run one with failed inputs.
static int count_failures(const char *report, const call *c, const action *act) {
    json_t *root = json_loads(report, 0, NULL), *skipped = json_object_get(root, "skipped"), *line;
    json_int_t n_failed = act->run == prepare ? json_integer_value(json_object_get(root, "failed")) : 0;
    size_t i, n_skipped = json_array_size(skipped);
    json_array_foreach(skipped, i, line) {
        if (!act->says_skipped)
            cli_note("%s: left out", json_string_value(line));
    }
    json_decref(root);
    if (n_failed)
        cli_note("%lld photograph%s gave no crop: see %s/failures.tsv", (long long)n_failed,
                 n_failed == 1 ? "" : "s", c->dst);
    return n_failed || n_skipped ? CLI_INPUTS : CLI_DONE;
}

int cmd_dataset(int argc, char **argv) {
    uint64_t total = 0;
    int n, code = cli_parse(&command, argc, argv, &n);
    if (code >= 0)
        return code;
    const action *act = find(argv[1]);
    if (!act)
        return cli_usage_error(
            &command, "expected prepare, stats, prune, split, outliers or duplicates, not \"%s\"", argv[1]);
    if (n != act->n_folders + 1)
        return cli_usage_error(&command, "%s takes %s", act->name,
                               act->n_folders == 1 ? "one folder" : "two folders");
    code = check_options(act);
    if (code >= 0)
        return code;
    if (act->run == prune && !min_images)
        return cli_usage_error(&command, "prune wants --min-images N");
    if (act->run == split && !(val > 0))
        return cli_usage_error(&command, "split wants --val SHARE");
    call c = {
        .root = argv[2], .dst = argv[3], .control = FN_CONTROL_INIT, .inspect = FN_INSPECT_OPTIONS_INIT};
    c.control.user = &total;
    c.control.progress = progress;
    c.control.log = tell;
    c.inspect.distance = distance;
    c.inspect.jobs = cli.jobs;
    c.inspect.apply = apply;
    c.inspect.removed = removed;
    if (act->needs != NEEDS_NOTHING) {
        code = cli_recognizer_open(&c.recognizer, act->needs == NEEDS_DETECTOR);
        if (code != CLI_DONE)
            return code;
    }
    char *report = NULL;
    int rc = act->run(&report, &c);
    cli_progress_clear();
    if (rc == FN_ECONFLICT) { // between folders, not with a gallery
        cli_error("%s", fn_last_error());
        code = CLI_INPUTS;
    } else {
        code = rc < 0 ? cli_failure(rc) : CLI_DONE;
    }
    if (report) {
        puts(report);
        code = count_failures(report, &c, act);
    }
    fn_string_free(report);
    fn_recognizer_free(c.recognizer);
    return code;
}
