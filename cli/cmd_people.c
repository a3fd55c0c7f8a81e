// SPDX-License-Identifier: Apache-2.0
//
// facenet people: who is in the gallery.
#include "cli.h"
#include "output.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int yes;

static const cli_option options[] = {
    {"yes", 'y', NULL, "remove without asking", CLI_FLAG, &yes, 0, 0},
    {0},
};

static const cli_command command = {
    .name = "people",
    .operands = "list\nshow NAME\nrename OLD NEW\nmerge FROM INTO\nremove NAME",
    .about = "Shows and changes the people of the gallery.\n"
             "  list    name, faces, since when\n"
             "  show    one line per face: id, picture, x, y, width, height, added, taken\n"
             "  rename  gives a person another name\n"
             "  merge   moves all faces of FROM to INTO; FROM is gone afterwards\n"
             "  remove  removes a person and every trace of the faces; it cannot be undone",
    .options = options,
    .shared = CLI_SHARED_GALLERY | CLI_SHARED_OUTPUT,
    .min_operands = 1,
    .max_operands = 3,
};

// "2024-01-31T12:00:00Z"
static const char *format_time(char dst[32], int64_t ms) {
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    if (!gmtime_r(&seconds, &utc) || !strftime(dst, 32, "%Y-%m-%dT%H:%M:%SZ", &utc))
        snprintf(dst, 32, "-");
    return dst;
}

static const char *format_id(char dst[2 * FN_ID_SIZE + 1], fn_id id) {
    for (int i = 0; i < FN_ID_SIZE; i++)
        snprintf(dst + 2 * i, 3, "%02x", id.bytes[i]);
    return dst;
}

static int print_person(void *user, const fn_person *person) {
    (void)user;
    char since[32], id[2 * FN_ID_SIZE + 1];
    format_time(since, person->created_ms);
    if (cli.json) {
        cli_json_line(json_pack("{s:s, s:s, s:I, s:s}", "name", person->name, "id", format_id(id, person->id),
                                "faces", (json_int_t)person->n_faces, "created", since));
        return 0;
    }
    cli_field(person->name);
    printf("\t%llu\t%s\n", (unsigned long long)person->n_faces, since);
    return 0;
}

static int print_face(void *user, const fn_face_record *face) {
    (void)user;
    char added[32], id[2 * FN_ID_SIZE + 1];
    const char *path = face->source_path ? face->source_path : "";
    size_t n = face->source_path ? face->source_path_len : 0;
    format_time(added, face->added_ms);
    format_id(id, face->id);
    if (cli.json) {
        json_t *line = json_pack("{s:s, s:o, s:s, s:s, s:s, s:b}", "id", id, "box", cli_json_box(face->box),
                                 "added", added, "fingerprint", face->fingerprint, "pipeline_id",
                                 face->pipeline_id, "crop", face->crop_jpeg != NULL);
        cli_json_path(line, "path", path, n);
        if (face->taken_at && *face->taken_at)
            json_object_set_new(line, "taken", json_string(face->taken_at));
        cli_json_line(line);
        return 0;
    }
    printf("%s\t", id);
    cli_field_bytes(path, n);
    printf("\t%.1f\t%.1f\t%.1f\t%.1f\t%s\t", (double)face->box.x, (double)face->box.y,
           (double)face->box.width, (double)face->box.height, added);
    cli_field(face->taken_at && *face->taken_at ? face->taken_at : "-");
    putchar('\n');
    return 0;
}

static int list(fn_gallery *gallery, char **words) {
    (void)words;
    return fn_gallery_people(gallery, print_person, NULL);
}

static int show(fn_gallery *gallery, char **words) {
    return fn_gallery_faces(gallery, words[0], print_face, NULL);
}

static int rename_person(fn_gallery *gallery, char **words) {
    return fn_gallery_rename(gallery, words[0], words[1]);
}

static int merge(fn_gallery *gallery, char **words) {
    return fn_gallery_merge(gallery, words[0], words[1]);
}

static int remove_person(fn_gallery *gallery, char **words) {
    return fn_gallery_remove(gallery, words[0]);
}

static const struct form {
    const char *word;
    int n_names;
    int read_only;
    int (*run)(fn_gallery *gallery, char **words);
} forms[] = {
    {"list", 0, 1, list},
    {"show", 1, 1, show},
    {"rename", 2, 0, rename_person},
    {"merge", 2, 0, merge},
    {"remove", 1, 0, remove_person},
};

static const struct form *find(const char *word) {
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strcmp(forms[i].word, word) == 0)
            return &forms[i];
    return NULL;
}

// 1 when the person at the terminal agrees.
static int confirm(const char *name) {
    char answer[16] = "";
    char *escaped = cli_escape(name, strlen(name));
    fprintf(stderr, "Remove %s and every face of this person for good? [y/N] ", escaped ? escaped : "");
    free(escaped);
    return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

// A gallery that is not there is an error here, not a new gallery.
static int open_existing(fn_gallery **out, int read_only) {
    int code = cli_gallery_open(out, 1);
    if (code != CLI_DONE || read_only)
        return code;
    fn_gallery_free(*out);
    return cli_gallery_open(out, 0);
}

int cmd_people(int argc, char **argv) {
    int n, end = cli_parse(&command, argc, argv, &n);
    if (end >= 0)
        return end;
    const struct form *form = find(argv[1]);
    if (!form)
        return cli_usage_error(&command, "expected list, show, rename, merge or remove, not \"%s\"", argv[1]);
    if (n - 1 != form->n_names)
        return cli_usage_error(&command, "%s takes %d name%s, not %d", form->word, form->n_names,
                               form->n_names == 1 ? "" : "s", n - 1);
    if (form->run == rename_person && !cli_name_is_free(argv[3]))
        return cli_usage_error(&command, "\"%s\" is kept for decisions: choose another name", argv[3]);
    if (form->run == remove_person && !yes) {
        if (!isatty(STDIN_FILENO))
            return cli_usage_error(&command, "remove asks first, and there is no terminal: give --yes");
        if (!confirm(argv[2]))
            return CLI_DONE;
    }
    fn_gallery *gallery;
    int code = open_existing(&gallery, form->read_only);
    if (code != CLI_DONE)
        return code;
    const int rc = form->run(gallery, argv + 2);
    if (rc < 0) { // a wrong name is no fault of the gallery
        cli_error("%s", fn_last_error());
        code = rc == FN_ENOTFOUND || rc == FN_ECONFLICT || rc == FN_EINVAL ? CLI_INPUTS : CLI_GALLERY;
    }
    fn_gallery_free(gallery);
    return code;
}
