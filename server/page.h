// SPDX-License-Identifier: Apache-2.0
//
// The page around the running picture.
#ifndef SERVER_PAGE_H
#define SERVER_PAGE_H

#include <stddef.h>

typedef struct server_page {
    char *html; // new memory, malloc's
    size_t n;
    char policy[256]; // its Content-Security-Policy
} server_page;

/// A page that needs nothing but /stream and /frame.jpg. 0 when out of memory.
int server_page_make(server_page *out, const char *title);

#endif
