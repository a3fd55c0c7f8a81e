// SPDX-License-Identifier: Apache-2.0
//
// A window that shows a running picture and says what is pressed, typed and clicked in it.
//
//     char why[256];
//     if (cli_window_open(&window, "facenet", 1280, 720, why, sizeof why) < 0)
//         cli_error("%s", why);
//     while (cli_window_show(window, &image, why, sizeof why) == FN_OK) {
//         cli_window_event event;
//         while (cli_window_poll(window, &event, 0))
//             if (event.what == CLI_WINDOW_CLOSED || event.key == 'q')
//                 ...
//     }
//     cli_window_close(window);
//
// One window at a time, used by one thread. SDL2 is loaded when it opens.
#ifndef CLI_WINDOW_H
#define CLI_WINDOW_H

#include <facenet/image.h>

typedef struct cli_window cli_window;

typedef enum cli_window_what {
    CLI_WINDOW_NOTHING,
    CLI_WINDOW_KEY,      // key; not while a text is typed
    CLI_WINDOW_CLICK,    // x, y, button
    CLI_WINDOW_TEXT,     // text: what is typed so far; after each change
    CLI_WINDOW_ENTERED,  // text: typing ended with Enter
    CLI_WINDOW_GIVEN_UP, // typing ended with Escape
    CLI_WINDOW_RESIZED,  // width, height
    CLI_WINDOW_CLOSED    // by its button, or Ctrl+Q, Ctrl+W
} cli_window_what;

enum {
    CLI_KEY_BACKSPACE = 8,
    CLI_KEY_TAB = 9,
    CLI_KEY_ENTER = 13,
    CLI_KEY_ESCAPE = 27,
    CLI_KEY_LEFT = 0x110000, // above all code points
    CLI_KEY_RIGHT,
    CLI_KEY_UP,
    CLI_KEY_DOWN,
    CLI_KEY_OTHER // what has no number here
};

typedef struct cli_window_event {
    cli_window_what what;
    int key;           // CLI_KEY_..., or the code point on the key without Shift: 'q', '1', ' '; else 0
    float x, y;        // pixels of the picture shown last
    int button;        // 1 left, 2 middle, 3 right
    int width, height; // pixels of the window
    const char *text;  // UTF-8, valid until the next call
} cli_window_event;

/// Opens a window that fits a picture of this size and the screen. On failure *out is NULL and `why` holds
/// one line. FN_ENOTFOUND: no display; FN_EUNSUPPORTED: SDL2 is missing; FN_EIO: it fails; FN_EINVAL: a size
/// that is none.
int cli_window_open(cli_window **out, const char *title, int width, int height, char *why, size_t n_why);
/// Gives the display back. NULL is a no-op.
void cli_window_close(cli_window *window);

/// Shows a picture of any size as large as fits, in its own proportions, without waiting for the screen.
/// FN_EINVAL: no picture; FN_EIO: it cannot be shown.
int cli_window_show(cli_window *window, const fn_image *image, char *why, size_t n_why);

/// The next event, waiting for it up to timeout_ms. 1 when there is one. Also what keeps the window alive:
/// call it often.
int cli_window_poll(cli_window *window, cli_window_event *event, int timeout_ms);

/// UTF-8.
void cli_window_set_title(cli_window *window, const char *title);

/// From now on keys make a text, which begins as `text` (NULL: empty), until Enter or Escape.
void cli_window_type(cli_window *window, const char *text);

#endif
