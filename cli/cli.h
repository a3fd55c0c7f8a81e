// SPDX-License-Identifier: Apache-2.0
//
// What the verbs of the program share: exit codes, options, inputs, the run over many pictures.
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <facenet/facenet.h>

#include <stdint.h>
#include <stdio.h>

enum {
    CLI_DONE = 0,     // "unknown" is done too
    CLI_INPUTS = 1,   // some inputs failed, the others were done
    CLI_USAGE = 2,    // wrong options or operands
    CLI_MODEL = 3,    // a model is missing or unusable
    CLI_GALLERY = 4,  // the gallery is missing or unusable
    CLI_TRAINING = 5, // a training collapsed or is not finite
};

// ---- options (options.c) ---------------------------------------------------------------------

typedef enum cli_kind {
    CLI_FLAG,   // int *: 1 when given
    CLI_TEXT,   // const char **
    CLI_TEXTS,  // const char *[max + 1], zeroed: one more each time it is given, at most max
    CLI_CHOICE, // const char **; `argument` lists the words: "tsv|json|npy"
    CLI_COUNT,  // int *, within min..max
    CLI_SIZE,   // uint64_t *, from 1; K, M and G may follow
    CLI_REAL,   // double *, within min..max
} cli_kind;

/// One option: parsing, errors and help all come from this row.
typedef struct cli_option {
    const char *name;     // without the dashes; NULL ends a table
    char letter;          // 0: none
    const char *argument; // how help calls it; NULL for flags
    const char *help;
    cli_kind kind;
    void *value;
    double min, max;
} cli_option;

typedef struct cli_command {
    const char *name;               // "detect"
    const char *operands;           // one line per form, separated by '\n': "PATH..."
    const char *about;              // paragraphs for --help
    const cli_option *options;      // of this verb alone; NULL: none
    unsigned shared;                // CLI_SHARED_... it takes as well
    int min_operands, max_operands; // max -1: any number
} cli_command;

/// Reads the options of argv[1..] and leaves the operands in argv[1..*n_operands]. Returns -1 to go
/// on, or the exit code to end with (after --help or a mistake).
int cli_parse(const cli_command *command, int argc, char **argv, int *n_operands);

/// The index-th option of a command, its own before the shared ones; NULL behind the last.
const cli_option *cli_option_at(const cli_command *command, size_t index);

/// A mistake in how the command was called: one line on stderr, CLI_USAGE.
int cli_usage_error(const cli_command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/// Groups of options that several verbs share, and where their values go.
enum {
    CLI_SHARED_GALLERY = 1,   // --gallery
    CLI_SHARED_DRAW = 2,      // --draw
    CLI_SHARED_MODEL = 4,     // --model --mirror
    CLI_SHARED_MODELS = 8,    // --models
    CLI_SHARED_DETECTOR = 16, // --detector --min-face --min-score --threads
    CLI_SHARED_INPUTS = 32,   // --jobs --max-bytes --max-pixels --lenient --files-from --null
    CLI_SHARED_OUTPUT = 64,   // --json --quiet
    CLI_SHARED_SOURCE = 128,  // --source --camera-size --reconnects --any-certificate
    CLI_SHARED_VIDEO = 256,   // --policy --loop --timeout --fps
    CLI_SHARED_WATCH = 512,   // --every --fmr
    CLI_SHARED_PICTURES = CLI_SHARED_MODELS | CLI_SHARED_DETECTOR | CLI_SHARED_INPUTS | CLI_SHARED_OUTPUT,
};
typedef struct cli_settings {
    const char *gallery, *model, *models, *detector, *files_from, *draw, *source, *policy, *camera_size;
    int json, quiet, nul, mirror, lenient, threads, jobs, loop, reconnects, every, any_certificate;
    double min_face, min_score, timeout, fps, fmr; // 0: not given
    uint64_t max_bytes, max_pixels;
} cli_settings;
extern cli_settings cli;

// ---- man pages (man.c) -----------------------------------------------------------------------

#define CLI_HELP_MAN "--help=man"

/// The source of facenet-VERB(1) or of facenet(1) on stdout, from the tables that help shows.
void cli_man_verb(const cli_command *command);
void cli_man_program(void);

// ---- messages (output.c) ---------------------------------------------------------------------

/// One line on stderr, "facenet: ...", with control characters escaped.
void cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/// The same unless --quiet.
void cli_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// Says on stderr what a facenet call failed with and maps its code to an exit code.
int cli_failure(int code);

// ---- inputs and runs (run.c) -----------------------------------------------------------------

/// Paths from operands (folders are walked) and --files-from, one after the other.
typedef struct cli_inputs {
    char **operands;
    int n_operands, at;
    fn_walker *walker;
    FILE *list;
    char *line;
    size_t line_size;
    int silent;        // 1: what fails is counted only
    uint64_t n_failed; // operands, folders, links that could not be read: said on stderr
} cli_inputs;

/// CLI_INPUTS when --files-from cannot be opened, said on stderr. Operands must outlive the inputs.
int cli_inputs_open(cli_inputs *inputs, char **operands, int n_operands);
void cli_inputs_close(cli_inputs *inputs);
const char *cli_inputs_next(void *inputs);

/// Opens the recognizer the settings describe. CLI_DONE or CLI_MODEL, said on stderr.
int cli_recognizer_open(fn_recognizer **out, int no_embedder);

/// Opens the gallery the settings name. CLI_DONE or CLI_GALLERY, said on stderr.
int cli_gallery_open(fn_gallery **out, int read_only);

/// What the settings say about decoding and detection.
fn_analyze_options cli_analyze_options(void);

/// Sends every input through the recognizer and each picture that could be read to `handle`, in
/// order. Pictures that could not are said on stderr (and on stdout with --json) and make the result
/// CLI_INPUTS. A positive return of `handle` ends the run with that exit code; CLI_INPUT_FAILED
/// counts the picture as failed and goes on.
#define CLI_INPUT_FAILED (-1)
typedef int (*cli_handler)(void *user, const char *path, const fn_analysis *analysis);
int cli_run(fn_recognizer *recognizer, cli_inputs *inputs, const fn_analyze_options *options,
            cli_handler handle, void *user);

/// The same for operands, opening and closing the inputs.
int cli_run_operands(fn_recognizer *recognizer, char **operands, int n_operands,
                     const fn_analyze_options *options, cli_handler handle, void *user);

// ---- faces (faces.c) -------------------------------------------------------------------------

/// Which face of a picture is meant.
typedef enum cli_choice {
    CLI_FACE_ALL,
    CLI_FACE_ONLY,
    CLI_FACE_LARGEST,
    CLI_FACE_CENTRE,
    CLI_FACE_NUMBER
} cli_choice;
typedef struct cli_face {
    cli_choice choice;
    size_t number;
} cli_face;

/// Reads "only", "largest", "centre", a number counted from 0 and, where allowed, "all". 1 when it
/// is one of those.
int cli_face_parse(cli_face *face, const char *text, int allow_all);

/// Chooses one face of a picture. 1 and *index, or 0 and why not in `why`.
int cli_face_choose(size_t *index, const fn_analysis *analysis, cli_face face, char *why, size_t size);
/// For fn_analyze_options.wanted: only the face that cli_face_choose would take; user is a cli_face.
int cli_face_wanted(void *user, const fn_analysis *found, size_t face);

/// 0 for the words that stand for decisions ("unknown", "unknown-3", "ambiguous"): nobody is called so.
int cli_name_is_free(const char *name);

/// 0xRRGGBB of boxes and plates by decision.
uint32_t cli_color(fn_decision decision);

/// "1 in 12,000 different pairs is this close": what a distance means, in words.
void cli_closeness(char *dst, size_t size, const fn_calibration *calibration, float distance);

// ---- files that are written (files.c) --------------------------------------------------------

/// A path in `folder` for what is made from the picture `path`: its name without ending, then
/// `suffix`. Two pictures of one name get two paths in one run. New memory (free), or NULL, said on
/// stderr.
char *cli_output_path(const char *folder, const char *path, const char *suffix);

/// Creates a folder and what is missing above it. CLI_DONE or CLI_INPUTS, said on stderr.
int cli_make_folder(const char *path);

/// Writes the marked copy of a picture into --draw. CLI_DONE or CLI_INPUT_FAILED, said on stderr.
int cli_draw(const char *path, const fn_analysis *analysis, const fn_label *labels);

// ---- verbs (cmd_<verb>.c): argv[0] is the verb, the return is the exit code ---------------------

typedef struct cli_verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help; // one line
} cli_verb;
extern const cli_verb cli_verbs[]; // in the order of the help; a NULL name ends them (main.c)
extern const char cli_exit_codes[];

int cmd_align(int argc, char **argv);
int cmd_capture(int argc, char **argv);
int cmd_classify(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_dataset(int argc, char **argv);
int cmd_live(int argc, char **argv);
int cmd_lmnn(int argc, char **argv);
int cmd_runs(int argc, char **argv);
int cmd_detect(int argc, char **argv);
int cmd_embed(int argc, char **argv);
int cmd_enroll(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_identify(int argc, char **argv);
int cmd_model(int argc, char **argv);
int cmd_people(int argc, char **argv);
int cmd_recognize_video(int argc, char **argv);
int cmd_train(int argc, char **argv);
int cmd_version(int argc, char **argv);

#endif
