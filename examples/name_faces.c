// SPDX-License-Identifier: Apache-2.0
//
// Names the faces of one photograph by the people of the default gallery.
//     cc name_faces.c $(pkg-config --cflags --libs facenet) -o name_faces
#include <facenet/facenet.h>
#include <stdio.h>

int main(int argc, char **argv) {
    fn_recognizer *recognizer = NULL;
    fn_gallery *gallery = NULL;
    fn_index *index = NULL;
    fn_analysis *photo = NULL;
    int rc = fn_recognizer_open(&recognizer, NULL);
    fn_embedder *embedder = rc < 0 ? NULL : fn_recognizer_embedder(recognizer);
    if (rc == FN_OK && (rc = fn_gallery_open(&gallery, NULL, NULL)) == FN_OK)
        rc = fn_gallery_index(gallery, fn_embedder_fingerprint(embedder), fn_embedder_dimension(embedder),
                              &index);
    if (rc == FN_OK)
        rc = fn_recognizer_file(recognizer, argc > 1 ? argv[1] : "-", NULL, &photo);
    for (size_t i = 0; rc == FN_OK && i < photo->n_faces; i++) {
        fn_match match;
        char name[256] = "";
        rc = fn_decide(&match, index, photo->embeddings + i * (size_t)photo->dimension,
                       fn_embedder_fingerprint(embedder), fn_embedder_calibration(embedder), 0);
        if (rc == FN_OK && match.decision == FN_DECISION_KNOWN)
            rc = fn_gallery_name(gallery, match.best.person, name, sizeof name);
        if (rc == FN_OK)
            printf("face %zu: %s\n", i, *name ? name : fn_decision_name(match.decision));
    }
    if (rc < 0)
        fprintf(stderr, "%s\n", fn_last_error());
    fn_analysis_free(photo);
    fn_index_free(index);
    fn_gallery_free(gallery);
    fn_recognizer_free(recognizer);
    return rc < 0;
}
