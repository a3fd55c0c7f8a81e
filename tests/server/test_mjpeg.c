// SPDX-License-Identifier: Apache-2.0
//
// The server of running pictures, asked over loopback by a client that speaks HTTP by hand: so it can be
// slow, rude or silent.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mjpeg.h"

#include <facenet/base.h>
#include <facenet/decode.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { HANG_MS = 20000 }; // nothing here takes a tenth of this

// ---- what is watched ----------------------------------------------------------------------------

static atomic_int n_encoded;
static int is_missing;

int __real_fn_image_encode_jpeg(void *dst, size_t size, size_t *n_out, const fn_image *image, int quality);
int __wrap_fn_image_encode_jpeg(void *dst, size_t size, size_t *n_out, const fn_image *image, int quality);
int __wrap_fn_image_encode_jpeg(void *dst, size_t size, size_t *n_out, const fn_image *image, int quality) {
    int rc = __real_fn_image_encode_jpeg(dst, size, n_out, image, quality);
    if (rc == FN_OK)
        atomic_fetch_add(&n_encoded, 1);
    return rc;
}

void *__real_dlopen(const char *name, int flags);
void *__wrap_dlopen(const char *name, int flags);
void *__wrap_dlopen(const char *name, int flags) {
    return is_missing ? NULL : __real_dlopen(name, flags);
}

// ---- the client ---------------------------------------------------------------------------------

static void sleep_ms(int ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

static int call(int port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void say(int fd, const char *words) {
    size_t n = strlen(words);
    assert_int_equal(send(fd, words, n, MSG_NOSIGNAL), n);
}

// Up to `max` bytes, 0 at the end of the connection, -1 when nothing came for too long.
static ssize_t hear(int fd, void *dst, size_t max) {
    struct pollfd p = {fd, POLLIN, 0};
    if (poll(&p, 1, HANG_MS) != 1)
        return -1;
    ssize_t n = recv(fd, dst, max, 0);
    return n < 0 ? 0 : n; // a reset is an end too
}

static char answer[1 << 20];
static size_t n_answer;

// Sends one request and reads until the server hangs up. Returns the status.
static int ask(int port, const char *request) {
    int fd = call(port);
    say(fd, request);
    n_answer = 0;
    for (ssize_t n; (n = hear(fd, answer + n_answer, sizeof answer - 1 - n_answer)) != 0;) {
        assert_true(n > 0);
        n_answer += (size_t)n;
    }
    close(fd);
    answer[n_answer] = 0;
    assert_true(n_answer > 12 && strncmp(answer, "HTTP/1.", 7) == 0);
    return (int)strtol(answer + 9, NULL, 10);
}

static int get(int port, const char *path, const char *headers) {
    char request[1024];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n",
             path, headers);
    return ask(port, request);
}

// A stream that is being read, without the chunks of HTTP/1.1.
typedef struct stream {
    int fd;
    char *bytes;
    size_t n, size;
} stream;

static stream open_stream(int port) {
    stream s = {.fd = call(port), .size = 4 << 20};
    s.bytes = malloc(s.size);
    assert_non_null(s.bytes);
    say(s.fd, "GET /stream HTTP/1.0\r\nHost: localhost\r\n\r\n");
    return s;
}

static void close_stream(stream *s) {
    close(s->fd);
    free(s->bytes);
}

// The first place of `word`, read so far or still to come; NULL at the end of the stream.
static char *until(stream *s, const char *word) {
    for (;;) {
        for (char *p = s->bytes; s->n && (p = memchr(p, word[0], (size_t)(s->bytes + s->n - p))); p++) {
            if ((size_t)(s->bytes + s->n - p) >= strlen(word) && memcmp(p, word, strlen(word)) == 0)
                return p;
        }
        assert_true(s->n < s->size);
        ssize_t n = hear(s->fd, s->bytes + s->n, s->size - s->n);
        assert_true(n >= 0);
        if (n == 0)
            return NULL;
        s->n += (size_t)n;
    }
}

static void forget(stream *s, size_t n) {
    memmove(s->bytes, s->bytes + n, s->n - n);
    s->n -= n;
}

// The grey of the next picture (they are plain), or -1 at the end. A picture counts only with the boundary
// behind it.
static int next_grey(stream *s) {
    char *head = until(s, "Content-Length: ");
    if (!head)
        return -1;
    forget(s, (size_t)(head - s->bytes));
    char *body = until(s, "\r\n\r\n");
    assert_non_null(body);
    long n = strtol(s->bytes + 16, NULL, 10);
    forget(s, (size_t)(body + 4 - s->bytes));
    char *behind = until(s, "\r\n--facenet-frame\r\n");
    if (!behind)
        return -1;
    assert_int_equal(behind - s->bytes, n);
    fn_picture *picture = NULL;
    assert_int_equal(fn_decode_memory(&picture, s->bytes, (size_t)n, NULL, NULL), FN_OK);
    int grey = fn_picture_image(picture)->data[0];
    fn_picture_free(picture);
    forget(s, (size_t)n);
    return grey;
}

// ---- the server ---------------------------------------------------------------------------------

static server_mjpeg *open_server(const server_mjpeg_options *given) {
    server_mjpeg_options options = SERVER_MJPEG_OPTIONS_INIT;
    server_mjpeg *server = NULL;
    char why[256] = "";
    int rc = server_mjpeg_open(&server, given ? given : &options, why, sizeof why);
    if (rc == FN_EUNSUPPORTED) {
        print_message("skipped: %s\n", why);
        skip();
    }
    if (rc < 0)
        fail_msg("%s", why);
    return server;
}

static void show_grey(server_mjpeg *server, int width, int height, int grey) {
    unsigned char *pixels = malloc((size_t)width * (size_t)height);
    assert_non_null(pixels);
    memset(pixels, grey, (size_t)width * (size_t)height);
    fn_image image = {pixels, width, height, width, FN_PIXEL_GRAY8};
    assert_int_equal(server_mjpeg_show(server, &image), FN_OK);
    free(pixels);
}

// Waits until as many look as are expected: a client that went away is found at the next picture.
static void wait_viewers(server_mjpeg *server, int wanted) {
    for (int i = 0; i < HANG_MS / 20 && server_mjpeg_viewers(server) != wanted; i++) {
        show_grey(server, 64, 48, i & 255);
        sleep_ms(20);
    }
    assert_int_equal(server_mjpeg_viewers(server), wanted);
}

static void without_the_library_one_line_says_so(void **state) {
    (void)state;
    pid_t child = fork(); // what is loaded stays loaded: a process of its own
    if (child == 0) {
        server_mjpeg_options options = SERVER_MJPEG_OPTIONS_INIT;
        server_mjpeg *server = NULL;
        char why[256] = "";
        is_missing = 1;
        int rc = server_mjpeg_open(&server, &options, why, sizeof why);
        _exit(rc == FN_EUNSUPPORTED && !server && strstr(why, "libmicrohttpd12") ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void the_page_needs_nothing_else(void **state) {
    (void)state;
    server_mjpeg_options options = SERVER_MJPEG_OPTIONS_INIT;
    options.title = "<b>Zoë & \"co\"</b>";
    server_mjpeg *server = open_server(&options);
    int port = server_mjpeg_port(server);
    assert_int_equal(get(port, "/", ""), 200);
    assert_non_null(strstr(answer, "Content-Type: text/html; charset=utf-8\r\n"));
    assert_non_null(strstr(answer, "<title>&lt;b&gt;Zoë &amp; &quot;co&quot;&lt;/b&gt;</title>"));
    assert_null(strstr(answer, "<b>"));
    assert_null(strstr(answer, "//")); // no address of anything outside
    assert_non_null(strstr(answer, "src=\"/stream\""));
    char *policy = strstr(answer, "Content-Security-Policy: default-src 'none'; ");
    assert_non_null(policy);
    char *nonce = strstr(policy, "'nonce-"), first[33] = "";
    assert_non_null(nonce);
    memcpy(first, nonce + 7, 32);
    char script[64];
    snprintf(script, sizeof script, "<script nonce=\"%s\">", first);
    assert_non_null(strstr(answer, script));
    assert_int_equal(get(port, "/", ""), 200);
    assert_null(strstr(answer, first)); // a number is used once
    server_mjpeg_free(server);
}

static void every_answer_is_guarded(void **state) {
    (void)state;
    server_mjpeg *server = open_server(NULL);
    int port = server_mjpeg_port(server);
    show_grey(server, 64, 48, 100);
    static const struct {
        const char *path;
        int status;
    } cases[] = {{"/", 200},
                 {"/frame.jpg", 200},
                 {"/frame.jpg?x=1", 200},
                 {"/favicon.ico", 404},
                 {"/../passwd", 404},
                 {"/stream/", 404},
                 {"//", 404},
                 {"/FRAME.JPG", 404}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(get(port, cases[i].path, ""), cases[i].status);
        assert_non_null(strstr(answer, "Cache-Control: no-store\r\n"));
        assert_non_null(strstr(answer, "X-Content-Type-Options: nosniff\r\n"));
        assert_non_null(strstr(answer, "Cross-Origin-Resource-Policy: same-origin\r\n"));
        assert_null(strstr(answer, "Access-Control-Allow"));
    }
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "HEAD", "BREW"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        char request[256];
        snprintf(
            request, sizeof request,
            "%s /frame.jpg HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            methods[i]);
        assert_int_equal(ask(port, request), 405);
        assert_non_null(strstr(answer, "Allow: GET\r\n"));
    }
    server_mjpeg_free(server);
}

static void strange_hosts_are_refused(void **state) {
    (void)state;
    server_mjpeg *server = open_server(NULL);
    int port = server_mjpeg_port(server);
    assert_true(server_mjpeg_is_local(server));
    show_grey(server, 64, 48, 100);
    static const struct {
        const char *host;
        int status;
    } cases[] = {
        {"localhost", 200},         {"LocalHost:9", 200},    {"127.0.0.1:8080", 200}, {"[::1]:80", 200},
        {"evil.example", 403},      {"localhost.evil", 403}, {"127.0.0.1.evil", 403}, {"::1", 403},
        {"localhost:80@evil", 403}, {"[::1", 403},           {"evil:localhost", 403}, {"0.0.0.0", 403},
        {"127.0.0.2", 403},         {"localhost:80x", 403}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char request[256];
        snprintf(request, sizeof request, "GET /frame.jpg HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
                 cases[i].host);
        if (ask(port, request) != cases[i].status)
            fail_msg("Host: %s: %.12s, expected %d", cases[i].host, answer, cases[i].status);
    }
    assert_int_equal(ask(port, "GET / HTTP/1.0\r\n\r\n"), 403);
    assert_int_equal(get(port, "/frame.jpg", "Sec-Fetch-Site: same-origin\r\n"), 200);
    assert_int_equal(get(port, "/frame.jpg", "Sec-Fetch-Site: cross-site\r\n"), 403);
    assert_int_equal(get(port, "/stream", "Sec-Fetch-Site: same-site\r\n"), 403);
    assert_int_equal(get(port, "/", "Sec-Fetch-Site: cross-site\r\n"), 200);
    server_mjpeg_free(server);
    server_mjpeg_options options = SERVER_MJPEG_OPTIONS_INIT;
    options.listen = "0.0.0.0";
    server = open_server(&options);
    assert_false(server_mjpeg_is_local(server));
    show_grey(server, 64, 48, 100);
    // Any address of this machine and its own name, but no name that a stranger may have turned to it.
    char machine[256] = "", names[3][300];
    assert_int_equal(gethostname(machine, sizeof machine - 1), 0);
    snprintf(names[0], sizeof names[0], "%s", machine);
    snprintf(names[1], sizeof names[1], "%s.local:80", machine);
    snprintf(names[2], sizeof names[2], "%s.evil.example", machine);
    const struct {
        const char *host;
        int status;
    } others[] = {
        {"192.168.1.7:8080", 200}, {"[fe80::1]:80", 200}, {"localhost", 200},    {names[0], 200},
        {names[1], 200},           {names[2], 403},       {"evil.example", 403}, {"1.2.3.4.evil", 403},
        {"[::1]evil", 403},        {"1.2.3", 403}};
    port = server_mjpeg_port(server);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char request[512];
        snprintf(request, sizeof request, "GET /frame.jpg HTTP/1.0\r\nHost: %s\r\n\r\n", others[i].host);
        if (ask(port, request) != others[i].status)
            fail_msg("Host: %s: %.12s, expected %d", others[i].host, answer, others[i].status);
    }
    snprintf(names[0], sizeof names[0], "http://%s:%d/", machine, port);
    assert_string_equal(server_mjpeg_url(server), names[0]);
    server_mjpeg_free(server);
    options.listen = "::ffff:127.0.0.1";
    char why[256];
    if (server_mjpeg_open(&server, &options, why, sizeof why) == FN_OK) { // where there is IPv6
        assert_true(server_mjpeg_is_local(server));
        server_mjpeg_free(server);
    }
}

static void the_newest_picture_is_given(void **state) {
    (void)state;
    server_mjpeg *server = open_server(NULL);
    int port = server_mjpeg_port(server);
    for (int grey = 10; grey <= 200; grey += 10)
        show_grey(server, 64 + grey, 48, grey);
    assert_int_equal(get(port, "/frame.jpg", ""), 200);
    assert_non_null(strstr(answer, "Content-Type: image/jpeg\r\n"));
    char *body = strstr(answer, "\r\n\r\n") + 4;
    fn_picture *picture = NULL;
    assert_int_equal(fn_decode_memory(&picture, body, n_answer - (size_t)(body - answer), NULL, NULL), FN_OK);
    assert_int_equal(fn_picture_image(picture)->width, 264);
    assert_in_range(fn_picture_image(picture)->data[0], 198, 202);
    fn_picture_free(picture);
    server_mjpeg_free(server);
}

static void *show_later(void *server) {
    sleep_ms(300);
    show_grey(server, 64, 48, 77);
    return NULL;
}

static void an_answer_waits_for_the_first_picture(void **state) {
    (void)state;
    server_mjpeg *server = open_server(NULL);
    int port = server_mjpeg_port(server);
    assert_int_equal(get(port, "/frame.jpg", ""), 503); // after a while: nothing is shown
    assert_non_null(strstr(answer, "Retry-After: "));
    pthread_t thread;
    pthread_create(&thread, NULL, show_later, server);
    assert_int_equal(get(port, "/frame.jpg", ""), 200);
    pthread_join(thread, NULL);
    server_mjpeg_free(server);
}

static void a_stream_goes_on(void **state) {
    (void)state;
    server_mjpeg *server = open_server(NULL);
    show_grey(server, 64, 48, 10);
    stream s = open_stream(server_mjpeg_port(server));
    char *head = until(&s, "\r\n\r\n");
    assert_non_null(head);
    assert_non_null(strstr(s.bytes, "multipart/x-mixed-replace; boundary=facenet-frame\r\n"));
    for (int grey = 10; grey < 250; grey += 10) {
        show_grey(server, 64, 48, grey);
        int seen = next_grey(&s); // what was shown before may come first
        while (seen >= 0 && seen < grey - 2)
            seen = next_grey(&s);
        assert_in_range(seen, grey - 2, grey + 2);
    }
    assert_int_equal(server_mjpeg_viewers(server), 1);
    server_mjpeg_free(server);
    assert_int_equal(next_grey(&s), -1); // it ends, it does not hang
    close_stream(&s);
}

static void pictures_are_encoded_once_and_only_for_viewers(void **state) {
    (void)state;
    server_mjpeg *server = open_server(NULL);
    atomic_store(&n_encoded, 0);
    for (int i = 0; i < 50; i++)
        show_grey(server, 64, 48, i);
    assert_int_equal(atomic_load(&n_encoded), 0);
    stream s[4];
    for (int i = 0; i < 4; i++)
        s[i] = open_stream(server_mjpeg_port(server));
    for (int grey = 10; grey < 250; grey += 20) {
        show_grey(server, 64, 48, grey);
        for (int i = 0; i < 4; i++) {
            int seen = next_grey(&s[i]);
            while (seen >= 0 && (seen < grey - 2 || seen > grey + 2))
                seen = next_grey(&s[i]);
            assert_in_range(seen, grey - 2, grey + 2);
        }
    }
    assert_in_range(atomic_load(&n_encoded), 12, 13);
    for (int i = 0; i < 4; i++)
        close_stream(&s[i]);
    server_mjpeg_free(server);
}

static void the_ninth_is_told_to_wait(void **state) {
    (void)state;
    server_mjpeg *server = open_server(NULL);
    int port = server_mjpeg_port(server);
    show_grey(server, 64, 48, 50);
    stream s[8];
    for (int i = 0; i < 8; i++) {
        s[i] = open_stream(port);
        assert_in_range(next_grey(&s[i]), 48, 52);
    }
    assert_int_equal(get(port, "/stream", ""), 503);
    assert_int_equal(get(port, "/frame.jpg", ""), 200); // the rest still answers
    close_stream(&s[3]);
    wait_viewers(server, 7);
    s[3] = open_stream(port);
    assert_true(next_grey(&s[3]) >= 0);
    assert_int_equal(get(port, "/stream", ""), 503);
    for (int i = 0; i < 8; i++)
        close_stream(&s[i]);
    wait_viewers(server, 0);
    server_mjpeg_free(server);
}

static long resident_kib(void) {
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file || fscanf(file, "%ld %ld", &pages, &resident) != 2)
        resident = 0;
    if (file)
        fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static int keeps_what_is_freed(void) {
#if defined(__SANITIZE_ADDRESS__)
    return 1;
#else
    return 0;
#endif
}

// A client that reads nothing, one that does: noise makes pictures of a megabyte each, 400 of them.
static void a_slow_client_costs_nothing(void **state) {
    (void)state;
    enum { W = 960, H = 540, N = 400 };
    unsigned char *noise = malloc(W * H * 3);
    assert_non_null(noise);
    uint32_t seed = 1;
    for (int i = 0; i < W * H * 3; i++) {
        seed = seed * 1664525U + 1013904223U;
        noise[i] = (unsigned char)(seed >> 24);
    }
    fn_image image = {noise, W, H, W * 3, FN_PIXEL_RGB8};
    server_mjpeg *server = open_server(NULL);
    int port = server_mjpeg_port(server);
    server_mjpeg_show(server, &image);
    stream slow = open_stream(port), quick = open_stream(port);
    long before = 0;
    for (int i = 0; i < N; i++) {
        noise[0] = (unsigned char)i;
        assert_int_equal(server_mjpeg_show(server, &image), FN_OK);
        char *part = until(&quick, "Content-Length: ");
        assert_non_null(part);
        forget(&quick, (size_t)(part - quick.bytes) + 1);
        if (i == N / 4)
            before = resident_kib();
    }
    if (!keeps_what_is_freed())
        assert_true(resident_kib() - before < 16 * 1024);
    for (int i = 0; i < 8192; i++) // nor does it pay to be slow byte by byte
        assert_int_equal(recv(slow.fd, slow.bytes, 1, 0), 1);
    close_stream(&slow);
    close_stream(&quick);
    server_mjpeg_free(server);
    free(noise);
}

static void a_taken_port_is_said(void **state) {
    (void)state;
    server_mjpeg *server = open_server(NULL), *second = NULL;
    server_mjpeg_options options = SERVER_MJPEG_OPTIONS_INIT;
    char why[256] = "", url[64];
    options.port = server_mjpeg_port(server);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", options.port);
    assert_string_equal(server_mjpeg_url(server), url);
    assert_int_equal(server_mjpeg_open(&second, &options, why, sizeof why), FN_EIO);
    assert_null(second);
    assert_non_null(strstr(why, "in use"));
    assert_null(strchr(why, '\n'));
    server_mjpeg_free(server);
    server = open_server(&options); // free again at once
    server_mjpeg_free(server);
    static const struct {
        const char *listen;
        int port, rc;
    } cases[] = {{"camera.example", 0, FN_EINVAL}, {"", 0, FN_EINVAL},       {"127.0.0.1", 65536, FN_EINVAL},
                 {"127.0.0.1", -1, FN_EINVAL},     {"192.0.2.7", 0, FN_EIO}, {"1.2.3.4.5", 0, FN_EINVAL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        options.listen = cases[i].listen;
        options.port = cases[i].port;
        assert_int_equal(server_mjpeg_open(&second, &options, why, sizeof why), cases[i].rc);
        assert_null(second);
    }
    server_mjpeg_free(NULL);
}

// Streams read and not read, a request half said, a connection kept open, one that never spoke.
static void closing_does_not_wait_for_clients(void **state) {
    (void)state;
    server_mjpeg *server = open_server(NULL);
    int port = server_mjpeg_port(server);
    show_grey(server, 640, 480, 50);
    stream s[3];
    for (int i = 0; i < 3; i++) {
        s[i] = open_stream(port);
        assert_true(next_grey(&s[i]) >= 0);
    }
    int half = call(port), kept = call(port), silent = call(port), stalled = call(port);
    say(half, "GET /stream HT");
    say(kept, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_true(hear(kept, answer, sizeof answer) > 0);
    say(stalled, "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for (int i = 0; i < 100; i++)
        show_grey(server, 1280, 720, i);
    int64_t began = fn_clock_ms();
    server_mjpeg_free(server);
    assert_true(fn_clock_ms() - began < HANG_MS / 4);
    close(half);
    close(kept);
    close(silent);
    close(stalled);
    for (int i = 0; i < 3; i++)
        close_stream(&s[i]);
}

static void nonsense_does_no_harm(void **state) {
    (void)state;
    server_mjpeg *server = open_server(NULL);
    int port = server_mjpeg_port(server);
    show_grey(server, 64, 48, 50);
    static char longest[200000];
    memset(longest, 'a', sizeof longest - 1);
    memcpy(longest, "GET /", 5);
    const char *const requests[] = {
        "\r\n\r\n\r\n", "GET\r\n\r\n", "\x16\x03\x01\x02", longest,
        "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\nContent-Length: -5\r\n\r\n"};
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        int fd = call(port);
        send(fd, requests[i], strlen(requests[i]), MSG_NOSIGNAL | MSG_DONTWAIT);
        sleep_ms(20);
        close(fd);
    }
    assert_int_equal(get(port, "/frame.jpg", ""), 200);
    fn_image bad = {0};
    assert_int_equal(server_mjpeg_show(server, &bad), FN_EINVAL);
    assert_int_equal(server_mjpeg_show(server, NULL), FN_EINVAL);
    server_mjpeg_free(server);
}

static void *show_many(void *server) {
    for (int i = 0; i < 100; i++)
        show_grey(server, 32 + i * 3 % 200, 32 + i * 7 % 100, i);
    return NULL;
}

static void several_threads_may_show(void **state) {
    (void)state;
    server_mjpeg *server = open_server(NULL);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, show_many, server);
    stream a = open_stream(server_mjpeg_port(server)), b = open_stream(server_mjpeg_port(server));
    for (int i = 0; i < 3; i++) {
        assert_true(next_grey(&a) >= 0);
        assert_true(next_grey(&b) >= 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    close_stream(&a);
    close_stream(&b);
    server_mjpeg_free(server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_the_library_one_line_says_so),
        cmocka_unit_test(the_page_needs_nothing_else),
        cmocka_unit_test(every_answer_is_guarded),
        cmocka_unit_test(strange_hosts_are_refused),
        cmocka_unit_test(the_newest_picture_is_given),
        cmocka_unit_test(an_answer_waits_for_the_first_picture),
        cmocka_unit_test(a_stream_goes_on),
        cmocka_unit_test(pictures_are_encoded_once_and_only_for_viewers),
        cmocka_unit_test(the_ninth_is_told_to_wait),
        cmocka_unit_test(a_slow_client_costs_nothing),
        cmocka_unit_test(a_taken_port_is_said),
        cmocka_unit_test(closing_does_not_wait_for_clients),
        cmocka_unit_test(nonsense_does_no_harm),
        cmocka_unit_test(several_threads_may_show),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
