// SPDX-License-Identifier: Apache-2.0
//
// Runs a fuzz target over files and folders given as arguments, for machines without libFuzzer and for
// the tests. A crash or a sanitizer's report is the failure; the last line printed names the file.
#define _DEFAULT_SOURCE
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// 1 when the file could be read and the target came back.
static int run_file(const char *path, long n) {
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = malloc(n ? (size_t)n : 1);
    int is_read = file && bytes && fread(bytes, 1, (size_t)n, file) == (size_t)n;
    if (file)
        fclose(file);
    if (is_read) {
        printf("%s\n", path);
        fflush(stdout);
        LLVMFuzzerTestOneInput(bytes, (size_t)n);
    } else {
        fprintf(stderr, "%s: cannot be read\n", path);
    }
    free(bytes);
    return is_read;
}

// Counts the files run; adds to *failed what could not be read.
static int run_path(const char *path, int *failed) {
    struct stat st;
    if (stat(path, &st)) {
        perror(path);
        ++*failed;
        return 0;
    }
    if (!S_ISDIR(st.st_mode)) {
        if (run_file(path, (long)st.st_size))
            return 1;
        ++*failed;
        return 0;
    }
    struct dirent **entries = NULL;
    int n = scandir(path, &entries, NULL, alphasort), n_run = 0;
    for (int i = 0; i < n; i++) {
        char child[4096];
        int length = snprintf(child, sizeof child, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && length < (int)sizeof child)
            n_run += run_path(child, failed);
        free(entries[i]);
    }
    free(entries);
    return n_run;
}

int main(int argc, char **argv) {
    int n_run = 0, failed = 0;
    for (int i = 1; i < argc; i++)
        n_run += run_path(argv[i], &failed);
    printf("%d inputs\n", n_run);
    return n_run == 0 || failed;
}
