// SPDX-License-Identifier: Apache-2.0
//
// The window, by SDL2, which is loaded here and not linked: it would cost every start of the program some
// 30 milliseconds, and the program runs where it is missing.
#define SDL_MAIN_HANDLED
#include "window.h"

#include "typing.h"

#include <SDL2/SDL.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cli_window {
    SDL_Window *window;
    SDL_Renderer *renderer;
    SDL_Texture *texture; // the picture; NULL before the first
    int width, height;    // of the picture
    int is_typing;
    cli_typing typing;
};

// ---- SDL2, as far as it is used -----------------------------------------------------------------

#define FUNCTIONS(X)                                                                                         \
    X(SDL_SetHint, SDL_bool, (const char *, const char *))                                                   \
    X(SDL_Init, int, (Uint32))                                                                               \
    X(SDL_Quit, void, (void))                                                                                \
    X(SDL_GetError, const char *, (void))                                                                    \
    X(SDL_GetDisplayUsableBounds, int, (int, SDL_Rect *))                                                    \
    X(SDL_CreateWindow, SDL_Window *, (const char *, int, int, int, int, Uint32))                            \
    X(SDL_DestroyWindow, void, (SDL_Window *))                                                               \
    X(SDL_SetWindowTitle, void, (SDL_Window *, const char *))                                                \
    X(SDL_SetWindowMinimumSize, void, (SDL_Window *, int, int))                                              \
    X(SDL_GetWindowSize, void, (SDL_Window *, int *, int *))                                                 \
    X(SDL_CreateRenderer, SDL_Renderer *, (SDL_Window *, int, Uint32))                                       \
    X(SDL_DestroyRenderer, void, (SDL_Renderer *))                                                           \
    X(SDL_GetRendererOutputSize, int, (SDL_Renderer *, int *, int *))                                        \
    X(SDL_SetRenderDrawColor, int, (SDL_Renderer *, Uint8, Uint8, Uint8, Uint8))                             \
    X(SDL_RenderClear, int, (SDL_Renderer *))                                                                \
    X(SDL_RenderCopy, int, (SDL_Renderer *, SDL_Texture *, const SDL_Rect *, const SDL_Rect *))              \
    X(SDL_RenderPresent, void, (SDL_Renderer *))                                                             \
    X(SDL_CreateTexture, SDL_Texture *, (SDL_Renderer *, Uint32, int, int, int))                             \
    X(SDL_DestroyTexture, void, (SDL_Texture *))                                                             \
    X(SDL_LockTexture, int, (SDL_Texture *, const SDL_Rect *, void **, int *))                               \
    X(SDL_UnlockTexture, void, (SDL_Texture *))                                                              \
    X(SDL_WaitEventTimeout, int, (SDL_Event *, int))                                                         \
    X(SDL_PollEvent, int, (SDL_Event *))                                                                     \
    X(SDL_FlushEvent, void, (Uint32))                                                                        \
    X(SDL_StartTextInput, void, (void))                                                                      \
    X(SDL_StopTextInput, void, (void))

static struct {
#define SLOT(name, result, arguments) result(*name) arguments;
    FUNCTIONS(SLOT)
#undef SLOT
} sdl;

// The table and the library's own header agree; nothing here runs.
#define AGREES(name, result, arguments) _Static_assert(sizeof(1 ? sdl.name : name), "");
FUNCTIONS(AGREES)
#undef AGREES

static int load(char *why, size_t n_why) {
    static const struct {
        void *slot;
        const char *name;
    } symbols[] = {
#define ROW(name, result, arguments) {&sdl.name, #name},
        FUNCTIONS(ROW)
#undef ROW
    };
    void *library = dlopen("libSDL2-2.0.so.0", RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; library && i < sizeof symbols / sizeof *symbols; i++) {
        void *symbol = dlsym(library, symbols[i].name);
        memcpy(symbols[i].slot, &symbol, sizeof symbol); // C has no cast from void * to a function
        if (!symbol)
            library = NULL;
    }
    if (library)
        return FN_OK;
    snprintf(why, n_why,
             "a window needs SDL2: install the package libsdl2-2.0-0, or use --out, --mjpeg or "
             "--no-window");
    return FN_EUNSUPPORTED;
}

// ---- open and close -----------------------------------------------------------------------------

static int is_set(const char *name) {
    const char *value = getenv(name);
    return value && *value;
}

// Without asking SDL2, which on a machine with a graphics card but no desktop would take over the console.
static int has_display(void) {
    return is_set("DISPLAY") || is_set("WAYLAND_DISPLAY") || is_set("SDL_VIDEODRIVER");
}

static int failed(const char *what, char *why, size_t n_why) {
    snprintf(why, n_why, "%s: %s", what, sdl.SDL_GetError());
    why[strcspn(why, "\n")] = 0;
    return FN_EIO;
}

// Only pictures: no sound, no joystick; signals and the screen saver stay as they are. A display that is
// named but not there is no display: else SDL2 would go on to drivers that show nothing.
static int start(char *why, size_t n_why) {
    if (!is_set("SDL_VIDEODRIVER"))
        sdl.SDL_SetHint(SDL_HINT_VIDEODRIVER, !is_set("WAYLAND_DISPLAY") ? "x11"
                                              : !is_set("DISPLAY")       ? "wayland"
                                                                         : "x11,wayland");
    sdl.SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
    sdl.SDL_SetHint(SDL_HINT_VIDEO_ALLOW_SCREENSAVER, "1");
    sdl.SDL_SetHint(SDL_HINT_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR, "0");
    sdl.SDL_SetHint(SDL_HINT_RENDER_SCALE_QUALITY, "linear");
    sdl.SDL_SetHint(SDL_HINT_RENDER_VSYNC, "0");
    sdl.SDL_SetHint(SDL_HINT_APP_NAME, "facenet");
    if (sdl.SDL_Init(SDL_INIT_VIDEO) == 0)
        return FN_OK;
    failed("no display: use --out, --mjpeg or --no-window", why, n_why);
    return FN_ENOTFOUND;
}

// The picture's size, made smaller where the screen is.
static void fit_screen(int *width, int *height) {
    SDL_Rect screen;
    if (sdl.SDL_GetDisplayUsableBounds(0, &screen) || screen.w < 1 || screen.h < 1)
        return;
    double x = 0.9 * screen.w / *width, y = 0.9 * screen.h / *height, scale = x < y ? x : y;
    if (scale < 1.0) {
        *width = (int)(*width * scale) > 1 ? (int)(*width * scale) : 1;
        *height = (int)(*height * scale) > 1 ? (int)(*height * scale) : 1;
    }
}

static int open_window(cli_window *w, const char *title, int width, int height, char *why, size_t n_why) {
    int rc = start(why, n_why);
    if (rc < 0)
        return rc;
    fit_screen(&width, &height);
    w->window =
        sdl.SDL_CreateWindow(title ? title : "facenet", SDL_WINDOWPOS_CENTERED, SDL_WINDOWPOS_CENTERED, width,
                             height, SDL_WINDOW_RESIZABLE | SDL_WINDOW_ALLOW_HIGHDPI);
    if (!w->window)
        return failed("the window cannot be opened", why, n_why);
    sdl.SDL_SetWindowMinimumSize(w->window, 64, 48);
    w->renderer = sdl.SDL_CreateRenderer(w->window, -1, SDL_RENDERER_ACCELERATED);
    if (!w->renderer)
        w->renderer = sdl.SDL_CreateRenderer(w->window, -1, SDL_RENDERER_SOFTWARE);
    if (!w->renderer)
        return failed("nothing can be drawn into the window", why, n_why);
    sdl.SDL_StopTextInput(); // on by default where there is a keyboard
    return FN_OK;
}

int cli_window_open(cli_window **out, const char *title, int width, int height, char *why, size_t n_why) {
    *out = NULL;
    if (width < 1 || height < 1 || width > 65535 || height > 65535) {
        snprintf(why, n_why, "a window of %d x %d pixels cannot be", width, height);
        return FN_EINVAL;
    }
    if (!has_display()) {
        snprintf(why, n_why, "no display: use --out, --mjpeg or --no-window");
        return FN_ENOTFOUND;
    }
    int rc = load(why, n_why);
    if (rc < 0)
        return rc;
    cli_window *w = calloc(1, sizeof *w);
    if (!w) {
        snprintf(why, n_why, "out of memory");
        return FN_ENOMEM;
    }
    rc = open_window(w, title, width, height, why, n_why);
    if (rc < 0)
        cli_window_close(w);
    else
        *out = w;
    return rc;
}

void cli_window_close(cli_window *window) {
    if (!window)
        return;
    if (window->texture)
        sdl.SDL_DestroyTexture(window->texture);
    if (window->renderer)
        sdl.SDL_DestroyRenderer(window->renderer);
    if (window->window)
        sdl.SDL_DestroyWindow(window->window);
    sdl.SDL_Quit();
    free(window);
}

void cli_window_set_title(cli_window *window, const char *title) {
    sdl.SDL_SetWindowTitle(window->window, title);
}

// ---- the picture --------------------------------------------------------------------------------

// Where the picture lies in the window, in pixels of the screen.
static SDL_Rect place(const cli_window *w) {
    int width = 0, height = 0;
    sdl.SDL_GetRendererOutputSize(w->renderer, &width, &height);
    double x = (double)width / w->width, y = (double)height / w->height, scale = x < y ? x : y;
    SDL_Rect r = {0, 0, (int)(w->width * scale + 0.5), (int)(w->height * scale + 0.5)};
    r.w = r.w < 1 ? 1 : r.w;
    r.h = r.h < 1 ? 1 : r.h;
    r.x = (width - r.w) / 2;
    r.y = (height - r.h) / 2;
    return r;
}

static void draw(cli_window *w) {
    sdl.SDL_SetRenderDrawColor(w->renderer, 0, 0, 0, 255);
    sdl.SDL_RenderClear(w->renderer);
    if (w->texture) {
        SDL_Rect r = place(w);
        sdl.SDL_RenderCopy(w->renderer, w->texture, NULL, &r);
    }
    sdl.SDL_RenderPresent(w->renderer);
}

// One row as 0xAARRGGBB, the one format that every renderer takes as it is.
static void fill_row(uint32_t *dst, const uint8_t *src, int n, fn_pixel_format format) {
    int size = fn_pixel_size(format);
    int is_bgr = format == FN_PIXEL_BGR8 || format == FN_PIXEL_BGRA8, is_gray = format == FN_PIXEL_GRAY8;
    int red = is_bgr ? 2 : 0, green = is_gray ? 0 : 1, blue = is_gray || is_bgr ? 0 : 2;
    for (int x = 0; x < n; x++, src += size)
        dst[x] = 0xFF000000U | (uint32_t)src[red] << 16 | (uint32_t)src[green] << 8 | src[blue];
}

static int set_size(cli_window *w, const fn_image *image) {
    if (w->texture && w->width == image->width && w->height == image->height)
        return 1;
    if (w->texture)
        sdl.SDL_DestroyTexture(w->texture);
    w->texture = sdl.SDL_CreateTexture(w->renderer, SDL_PIXELFORMAT_ARGB8888, SDL_TEXTUREACCESS_STREAMING,
                                       image->width, image->height);
    w->width = image->width;
    w->height = image->height;
    return w->texture != NULL;
}

int cli_window_show(cli_window *window, const fn_image *image, char *why, size_t n_why) {
    void *pixels;
    int pitch, rc = fn_image_check(image);
    if (rc < 0) {
        snprintf(why, n_why, "%s", fn_last_error());
        return rc;
    }
    if (!set_size(window, image) || sdl.SDL_LockTexture(window->texture, NULL, &pixels, &pitch))
        return failed("the picture cannot be shown", why, n_why);
    for (int y = 0; y < image->height; y++) {
        uint32_t *row = (uint32_t *)((char *)pixels + (ptrdiff_t)y * pitch);
        fill_row(row, image->data + y * image->stride_bytes, image->width, image->format);
    }
    sdl.SDL_UnlockTexture(window->texture);
    draw(window);
    return FN_OK;
}

// ---- events -------------------------------------------------------------------------------------

static int key_of(SDL_Keycode code) {
    switch (code) {
    case SDLK_LEFT:
        return CLI_KEY_LEFT;
    case SDLK_RIGHT:
        return CLI_KEY_RIGHT;
    case SDLK_UP:
        return CLI_KEY_UP;
    case SDLK_DOWN:
        return CLI_KEY_DOWN;
    case SDLK_KP_ENTER:
        return CLI_KEY_ENTER;
    }
    return code > 0 && code < 0x110000 ? (int)code : CLI_KEY_OTHER;
}

static int end_typing(cli_window *w, cli_window_event *event, cli_window_what what) {
    w->is_typing = 0;
    sdl.SDL_StopTextInput();
    event->what = what;
    return 1;
}

static int type_key(cli_window *w, cli_window_event *event, int key) {
    event->text = w->typing.text;
    if (key == CLI_KEY_ENTER)
        return end_typing(w, event, CLI_WINDOW_ENTERED);
    if (key == CLI_KEY_ESCAPE)
        return end_typing(w, event, CLI_WINDOW_GIVEN_UP);
    if (key != CLI_KEY_BACKSPACE || !cli_typing_back(&w->typing))
        return 0;
    event->what = CLI_WINDOW_TEXT;
    return 1;
}

static int take_key(cli_window *w, cli_window_event *event, const SDL_KeyboardEvent *key) {
    int code = key_of(key->keysym.sym);
    if ((key->keysym.mod & KMOD_CTRL) && (code == 'q' || code == 'w')) {
        event->what = CLI_WINDOW_CLOSED;
        return 1;
    }
    if (key->keysym.mod & (KMOD_CTRL | KMOD_ALT | KMOD_GUI))
        return 0;
    if (w->is_typing)
        return type_key(w, event, code);
    if (key->repeat)
        return 0;
    event->what = CLI_WINDOW_KEY;
    event->key = code;
    return 1;
}

// The mouse counts in units of the desktop, which on a dense screen are several pixels each.
static int take_click(const cli_window *w, cli_window_event *event, const SDL_MouseButtonEvent *click) {
    int width = 0, height = 0, out_width = 0, out_height = 0;
    if (!w->texture)
        return 0;
    sdl.SDL_GetWindowSize(w->window, &width, &height);
    sdl.SDL_GetRendererOutputSize(w->renderer, &out_width, &out_height);
    if (width < 1 || height < 1)
        return 0;
    SDL_Rect r = place(w);
    double x = ((click->x + 0.5) * out_width / width - r.x) * w->width / r.w;
    double y = ((click->y + 0.5) * out_height / height - r.y) * w->height / r.h;
    if (x < 0.0 || y < 0.0 || x >= w->width || y >= w->height)
        return 0; // beside the picture
    event->what = CLI_WINDOW_CLICK;
    event->x = (float)x;
    event->y = (float)y;
    event->button = click->button;
    return 1;
}

static int take_window(cli_window *w, cli_window_event *event, const SDL_WindowEvent *change) {
    if (change->event == SDL_WINDOWEVENT_CLOSE) {
        event->what = CLI_WINDOW_CLOSED;
        return 1;
    }
    if (change->event != SDL_WINDOWEVENT_EXPOSED && change->event != SDL_WINDOWEVENT_SIZE_CHANGED)
        return 0;
    draw(w);
    if (change->event == SDL_WINDOWEVENT_EXPOSED)
        return 0;
    event->what = CLI_WINDOW_RESIZED;
    sdl.SDL_GetRendererOutputSize(w->renderer, &event->width, &event->height);
    return 1;
}

// 1 when the caller is to know.
static int take(cli_window *w, cli_window_event *event, const SDL_Event *e) {
    *event = (cli_window_event){0};
    switch (e->type) {
    case SDL_QUIT:
        event->what = CLI_WINDOW_CLOSED;
        return 1;
    case SDL_WINDOWEVENT:
        return take_window(w, event, &e->window);
    case SDL_KEYDOWN:
        return take_key(w, event, &e->key);
    case SDL_MOUSEBUTTONDOWN:
        return take_click(w, event, &e->button);
    case SDL_TEXTINPUT:
        event->what = CLI_WINDOW_TEXT;
        event->text = w->typing.text;
        return w->is_typing && cli_typing_add(&w->typing, e->text.text);
    case SDL_RENDER_TARGETS_RESET:
    case SDL_RENDER_DEVICE_RESET:
        if (w->texture)
            sdl.SDL_DestroyTexture(w->texture);
        w->texture = NULL; // its pixels are lost; the next picture makes a new one
    }
    return 0;
}

int cli_window_poll(cli_window *window, cli_window_event *event, int timeout_ms) {
    int64_t until = fn_clock_ms() + timeout_ms;
    for (SDL_Event e;;) {
        int64_t left = until - fn_clock_ms();
        if (!(left > 0 ? sdl.SDL_WaitEventTimeout(&e, (int)left) : sdl.SDL_PollEvent(&e))) {
            if (left > 0)
                continue; // woken early, or at the end of it: PollEvent decides
            *event = (cli_window_event){0};
            return 0;
        }
        if (take(window, event, &e))
            return 1;
    }
}

void cli_window_type(cli_window *window, const char *text) {
    cli_typing_start(&window->typing, text);
    if (!window->is_typing)
        sdl.SDL_StartTextInput();
    window->is_typing = 1;
    sdl.SDL_FlushEvent(SDL_TEXTINPUT); // of the key that began it
}
