// SPDX-License-Identifier: Apache-2.0
//
// The newest picture, between one that shows pictures and many that look at them. Whoever looks first has
// it encoded; nobody who looks makes the one that shows wait. At most two pictures of raw pixels are held,
// and one JPEG for each that is still being sent.
#ifndef SERVER_NEWEST_H
#define SERVER_NEWEST_H

#include <facenet/image.h>

typedef struct server_newest server_newest;

/// A JPEG that several may be sending. Read only.
typedef struct server_frame {
    uint64_t number; // of the picture, from 1
    size_t n_bytes;
    unsigned users;
    unsigned char jpeg[];
} server_frame;

/// NULL when out of memory.
server_newest *server_newest_open(int quality);
void server_newest_free(server_newest *newest);

/// Copies the pixels. FN_EINVAL, FN_ENOMEM.
int server_newest_show(server_newest *newest, const fn_image *image);

/// Waits for a picture newer than number `seen` and returns it, or after timeout_ms the newest there is,
/// or NULL when there is none or after server_newest_stop. The caller gives it back.
server_frame *server_newest_wait(server_newest *newest, uint64_t seen, int timeout_ms);
void server_newest_give_back(server_newest *newest, server_frame *frame);

/// Ends all waits, those that will begin too.
void server_newest_stop(server_newest *newest);

#endif
