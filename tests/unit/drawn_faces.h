// SPDX-License-Identifier: Apache-2.0
//
// Faces that nobody has: drawn from a person's number, with a pose, light and background of the picture's
// own. Colours alone do not tell people apart, because the light changes them; the geometry does.
#ifndef FN_TEST_DRAWN_FACES_H
#define FN_TEST_DRAWN_FACES_H

/// rgb: (size, size, 3). A function of person and picture.
void draw_face(unsigned char *rgb, int size, int person, int picture);

/// Writes ROOT/person_NNNN/NN.png for persons first .. first + n_people - 1, made when missing. 0, or -1 with
/// the reason in fn_last_error.
int draw_people(const char *root, int first, int n_people, int n_pictures, int size);

#endif
