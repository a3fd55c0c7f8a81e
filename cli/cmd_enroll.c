// SPDX-License-Identifier: Apache-2.0
//
// facenet enroll: people are remembered by their photographs. Whose face it is comes from --name,
// from the folder (one per person), or from the file's name in a flat folder.
#include "cli.h"
#include "enroll_face.h"
#include "output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *name, *face_text;
static int keep_crops;

static const cli_option options[] = {
    {"name", 0, "NAME", "whose face is in the pictures", CLI_TEXT, &name, 0, 0},
    {"face", 0, "WHICH",
     "only, largest, centre or a number from 0 [only; largest where a folder is a person]", CLI_TEXT,
     &face_text, 0, 0},
    {"keep-crops", 0, NULL, "keep the cut-out faces in the gallery too", CLI_FLAG, &keep_crops, 0, 0},
    {0},
};

static const cli_command command = {
    .name = "enroll",
    .operands = "--name NAME PATH...\nDIR...",
    .about = "Adds one face of each picture to the gallery. Without --name each DIR says who is who: with\n"
             "folders inside, each folder is a person (DIR/<name>/*.jpg); without, each file is\n"
             "(DIR/<name>.jpg). One line per picture: path, enrolled | already there | refused,\n"
             "name, face, note.",
    .options = options,
    .shared = CLI_SHARED_GALLERY | CLI_SHARED_MODEL | CLI_SHARED_PICTURES,
    .min_operands = 1,
    .max_operands = -1,
};

typedef enum layout { LAYOUT_ONE_NAME, LAYOUT_FOLDERS, LAYOUT_FLAT } layout;

typedef struct job {
    fn_gallery *gallery;
    fn_recognizer *recognizer;
    layout layout;
    const char *root;
    cli_face face;
    char *person; // of the picture at hand
} job;

// Whose picture is this? New memory; NULL with a reason.
static char *person_of(const job *j, const char *path, const char **why) {
    *why = "out of memory";
    if (j->layout == LAYOUT_ONE_NAME)
        return strdup(name);
    const char *below = path + strlen(j->root);
    while (*below == '/')
        below++;
    const char *slash = strchr(below, '/');
    if (j->layout == LAYOUT_FOLDERS) {
        if (slash)
            return strndup(below, (size_t)(slash - below));
        *why = "lies beside the folders of people: enroll it with --name";
        return NULL;
    }
    const char *dot = strrchr(below, '.');
    return strndup(below, dot && dot != below ? (size_t)(dot - below) : strlen(below));
}

static void report(const char *path, const char *status, const char *person, const fn_analysis *analysis,
                   size_t face, const char *note) {
    if (cli.json) {
        json_t *line = json_object();
        cli_json_path(line, "path", path, strlen(path));
        json_object_set_new(line, "status", json_string(status));
        if (person)
            cli_json_path(line, "name", person, strlen(person));
        if (face < analysis->n_faces) {
            json_object_set_new(line, "face", json_integer((json_int_t)face));
            json_object_set_new(line, "box", cli_json_box(analysis->faces[face].box));
        }
        cli_json_path(line, "note", note, strlen(note));
        cli_json_line(line);
        return;
    }
    cli_field(path);
    printf("\t%s\t", status);
    cli_field(person ? person : "-");
    if (face < analysis->n_faces)
        printf("\t%zu\t", face);
    else
        printf("\t-\t");
    cli_field(note);
    putchar('\n');
}

static int refuse(const char *path, const char *person, const fn_analysis *analysis, size_t face,
                  const char *why) {
    report(path, "refused", person, analysis, face, why);
    return CLI_INPUT_FAILED;
}

static int add(const job *j, const char *path, const fn_analysis *analysis, size_t face, const char *note) {
    fn_embedder *embedder = fn_recognizer_embedder(j->recognizer);
    fn_face_record record = {
        .embedding = analysis->embeddings + face * (size_t)analysis->dimension,
        .dimension = analysis->dimension,
        .fingerprint = fn_embedder_fingerprint(embedder),
        .pipeline_id = fn_recognizer_pipeline_id(j->recognizer),
        .source_path = path,
        .source_path_len = strlen(path),
        .box = analysis->faces[face].box,
        .taken_at = analysis->info.taken_at,
    };
    memcpy(record.file_sha256, analysis->info.sha256, sizeof record.file_sha256);
    void *crop = NULL;
    if (keep_crops) {
        crop = cli_encode_crop(&record.crop_jpeg_len, embedder, fn_picture_image(analysis->picture),
                               &analysis->faces[face]);
        if (!crop)
            return refuse(path, j->person, analysis, face, "the crop cannot be made");
        record.crop_jpeg = crop;
    }
    fn_added added;
    int rc = fn_gallery_add(j->gallery, j->person, &record, &added);
    free(crop);
    if (rc == FN_ECONFLICT || rc == FN_EINVAL)
        return refuse(path, j->person, analysis, face, fn_last_error());
    if (rc < 0) {
        cli_error("%s: %s", path, fn_last_error());
        return CLI_GALLERY;
    }
    report(path, added == FN_ADDED_NEW ? "enrolled" : "already there", j->person, analysis, face, note);
    return CLI_DONE;
}

static int handle(void *user, const char *path, const fn_analysis *analysis) {
    job *j = user;
    char why[1024], note[64] = "";
    const char *nobody;
    size_t face;
    free(j->person);
    j->person = person_of(j, path, &nobody);
    if (!j->person)
        return refuse(path, NULL, analysis, SIZE_MAX, nobody);
    if (!cli_name_is_free(j->person))
        return refuse(path, j->person, analysis, SIZE_MAX,
                      "the word is kept for decisions: choose another name");
    if (!cli_face_choose(&face, analysis, j->face, why, sizeof why)) {
        if (analysis->n_faces > 1)
            strncat(why, "; choose one with --face", sizeof why - strlen(why) - 1);
        return refuse(path, j->person, analysis, SIZE_MAX, why);
    }
    if (analysis->n_faces > 1 && j->face.choice == CLI_FACE_LARGEST)
        snprintf(note, sizeof note, "the largest of %zu faces", analysis->n_faces);
    return add(j, path, analysis, face, note);
}

// 1 when a folder holds folders, 0 when it does not, -1 when it cannot be read.
static int holds_folders(const char *path) {
    DIR *folder = opendir(path);
    if (!folder)
        return -1;
    int found = 0;
    struct dirent *entry;
    struct stat st;
    while (!found && (entry = readdir(folder)))
        found = entry->d_name[0] != '.' &&
                fstatat(dirfd(folder), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
    closedir(folder);
    return found;
}

static int run_folder(job *j, char *root, const fn_analyze_options *analyze) {
    int folders = holds_folders(root);
    if (folders < 0) {
        cli_error("%s: %s", root, strerror(errno));
        return CLI_INPUTS;
    }
    j->root = root;
    j->layout = folders ? LAYOUT_FOLDERS : LAYOUT_FLAT;
    if (!face_text)
        j->face.choice = folders ? CLI_FACE_LARGEST : CLI_FACE_ONLY;
    return cli_run_operands(j->recognizer, &root, 1, analyze, handle, j);
}

static int run(job *j, char **operands, int n) {
    fn_analyze_options analyze = cli_analyze_options();
    analyze.wanted = cli_face_wanted;
    analyze.user = &j->face;
    analyze.keep_picture = keep_crops;
    if (name)
        return cli_run_operands(j->recognizer, operands, n, &analyze, handle, j);
    int code = CLI_DONE;
    for (int i = 0; i < n && code <= CLI_INPUTS; i++) {
        int one = run_folder(j, operands[i], &analyze);
        code = one > code ? one : code;
    }
    return code;
}

int cmd_enroll(int argc, char **argv) {
    job j = {.face = {CLI_FACE_ONLY, 0}};
    int n, end = cli_parse(&command, argc, argv, &n);
    if (end >= 0)
        return end;
    if (face_text && !cli_face_parse(&j.face, face_text, 0))
        return cli_usage_error(&command, "--face wants only, largest, centre or a number, not \"%s\"",
                               face_text);
    if (name && !cli_name_is_free(name))
        return cli_usage_error(&command, "\"%s\" is kept for decisions: choose another name", name);
    if (!name && cli.files_from)
        return cli_usage_error(&command, "--files-from needs --name NAME");
    struct stat st;
    for (int i = 1; !name && i <= n; i++)
        if (stat(argv[i], &st) == 0 && !S_ISDIR(st.st_mode))
            return cli_usage_error(&command, "%s is a file: say who it shows with --name NAME", argv[i]);
    int code = cli_recognizer_open(&j.recognizer, 0);
    if (code == CLI_DONE && (code = cli_gallery_open(&j.gallery, 0)) == CLI_DONE)
        code = run(&j, argv + 1, n);
    free(j.person);
    fn_gallery_free(j.gallery);
    fn_recognizer_free(j.recognizer);
    return code;
}
