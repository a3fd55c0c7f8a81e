// SPDX-License-Identifier: Apache-2.0
//
// Shows a picture of four colours in a window and prints what happens in it, one event a line, until q.
// Keys: n another picture (portrait), t type a text, y type on behind "Zoe", r rename the window.
#include "window.h"

#include <stdio.h>
#include <string.h>

enum { MOST = 900 };

static unsigned char pixels[MOST * MOST * 4];

// Red, green over blue, white.
static fn_image paint(int width, int height, fn_pixel_format format) {
    int size = fn_pixel_size(format), is_bgr = format == FN_PIXEL_BGR8 || format == FN_PIXEL_BGRA8;
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            int right = x >= width / 2, low = y >= height / 2;
            unsigned char rgb[4] = {right == low ? 255 : 0, right ? 255 : 0, low ? 255 : 0, 0};
            unsigned char bgr[4] = {rgb[2], rgb[1], rgb[0], 0};
            if (format == FN_PIXEL_GRAY8)
                rgb[0] = 99;
            memcpy(pixels + ((ptrdiff_t)y * width + x) * size, is_bgr ? bgr : rgb, (size_t)size);
        }
    }
    return (fn_image){pixels, width, height, (ptrdiff_t)width * size, format};
}

static void print(const cli_window_event *e) {
    static const char *const words[] = {"nothing", "key",      "click",   "text",
                                        "entered", "given-up", "resized", "closed"};
    printf("%s", words[e->what]);
    if (e->what == CLI_WINDOW_KEY)
        printf(" %d", e->key);
    if (e->what == CLI_WINDOW_CLICK)
        printf(" %d %d %d", (int)e->x, (int)e->y, e->button);
    if (e->what == CLI_WINDOW_TEXT || e->what == CLI_WINDOW_ENTERED)
        printf(" [%s]", e->text);
    if (e->what == CLI_WINDOW_RESIZED)
        printf(" %d %d", e->width, e->height);
    printf("\n");
    fflush(stdout);
}

int main(void) {
    static const fn_pixel_format formats[] = {FN_PIXEL_RGB8, FN_PIXEL_BGR8, FN_PIXEL_RGBA8, FN_PIXEL_BGRA8,
                                              FN_PIXEL_GRAY8};
    char why[256] = "";
    cli_window *window = NULL;
    int rc = cli_window_open(&window, "four colours", 400, 300, why, sizeof why), number = 0, n_said = -1,
        is_open = 1;
    if (rc < 0) {
        fprintf(stderr, "%d %s\n", rc, why);
        return 1;
    }
    fn_image image = paint(400, 300, FN_PIXEL_RGB8), bad = {0};
    if (cli_window_show(window, &bad, why, sizeof why) != FN_EINVAL)
        return 2;
    while (is_open && rc == FN_OK) {
        rc = cli_window_show(window, &image, why, sizeof why);
        cli_window_event e;
        if (n_said < number)
            printf("shown %d\n", n_said = number), fflush(stdout);
        while (is_open && cli_window_poll(window, &e, 40)) {
            print(&e);
            is_open = e.what != CLI_WINDOW_CLOSED && e.key != 'q';
            if (e.key == 'n')
                image = paint(300, 600, formats[++number % 5]);
            if (e.key == 't' || e.key == 'y')
                cli_window_type(window, e.key == 'y' ? "Zoe" : NULL);
            if (e.key == 'r')
                cli_window_set_title(window, "Zoë 山田");
        }
    }
    cli_window_close(window);
    if (rc < 0)
        fprintf(stderr, "%d %s\n", rc, why);
    printf("ended\n");
    return rc < 0;
}
