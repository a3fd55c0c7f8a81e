// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE // mkdtemp
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/path.h"
#include "video/clips.h"
#include "video/http_server.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { HANG_MS = 30000 };

static char folder[64], clip[100];
static http_server *server;
static pid_t child; // a server of others; 0: none

static void end_child(void) {
    int status;
    if (child <= 0)
        return;
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    child = 0;
}

static int set_up(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/facenet-streams-XXXXXX");
    snprintf(clip, sizeof clip, "%s/clip.mkv", mkdtemp(folder) ? folder : "");
    server = NULL;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    char command[100];
    end_child();
    http_stop(server);
    server = NULL;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static void nap(long ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

// ---- what the log said -----------------------------------------------------------------------------------

typedef struct journal {
    pthread_mutex_t lock;
    char text[4096];
    atomic_int is_over; // ends the wait
} journal;

static void note(void *user, fn_log_level level, const char *line) {
    journal *j = user;
    (void)level;
    pthread_mutex_lock(&j->lock);
    const size_t n = strlen(j->text);
    snprintf(j->text + n, sizeof j->text - n, "%s\n", line);
    pthread_mutex_unlock(&j->lock);
}

static int has_note(journal *j, const char *part) {
    pthread_mutex_lock(&j->lock);
    const int has = strstr(j->text, part) != NULL;
    pthread_mutex_unlock(&j->lock);
    return has;
}

static void await_note(journal *j, const char *part) {
    const int64_t until = fn_clock_ms() + HANG_MS;
    while (!has_note(j, part) && fn_clock_ms() < until)
        nap(10);
    if (!has_note(j, part))
        fail_msg("the log lacks \"%s\":\n%s", part, j->text);
}

static journal log_;
static fn_control control;

static void open_stream(fn_video **out, const char *address, const fn_video_options *options) {
    log_ = (journal){.lock = PTHREAD_MUTEX_INITIALIZER};
    control = (fn_control)FN_CONTROL_INIT;
    control.user = &log_;
    control.log = note;
    if (fn_video_open(out, address, options, &control) != FN_OK)
        fail_msg("%s", fn_last_error());
}

static void open_fails(const char *address, const fn_video_options *options, int code, const char *part) {
    fn_video *video = NULL;
    const int64_t start = fn_clock_ms();
    const int rc = fn_video_open(&video, address, options, NULL);
    if (rc != code || !strstr(fn_last_error(), part))
        fail_msg("%s: \"%s\"; expected %s: \"%s\"", fn_error_name(rc), fn_last_error(), fn_error_name(code),
                 part);
    assert_null(video);
    assert_null(strchr(fn_last_error(), '\n'));
    assert_true(fn_clock_ms() - start < HANG_MS);
}

static fn_frame *next_frame(fn_video *video) {
    fn_frame *frame = NULL;
    if (fn_video_next(video, &frame) != FN_OK)
        fail_msg("%s", fn_last_error());
    return frame;
}

static void free_at_once(fn_video *video) {
    const int64_t start = fn_clock_ms();
    fn_video_free(video);
    assert_true(fn_clock_ms() - start < 5000);
}

// ---- a server of ours ------------------------------------------------------------------------------------

/// What the server gives to each connection: pictures, and then nothing, or the end.
typedef struct serving {
    int n_pictures, pause_ms, is_silent;
    const char *head;  // instead of all that
    int head_pause_ms; // between its bytes
} serving;

static void send_pictures(void *user, http_server *s, int n, const char *path) {
    const serving *what = user;
    (void)path;
    if (what->head) {
        for (const char *p = what->head; *p && http_send(s, p, 1);) {
            p++;
            if (what->head_pause_ms && !http_nap(s, what->head_pause_ms))
                break;
        }
        return;
    }
    http_send_text(
        s,
        "HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Type: multipart/x-mixed-replace;boundary=b\r\n\r\n");
    for (int i = 0; i < what->n_pictures; i++) {
        char head[100];
        fn_buf jpeg;
        fn_buf_init(&jpeg, 1 << 20);
        clip_mjpeg(&jpeg, CLIP_WIDTH, CLIP_HEIGHT, (100 * n + i) % 256, 1);
        snprintf(head, sizeof head, "--b\r\nContent-Type: image/jpeg\r\nContent-Length: %zu\r\n\r\n",
                 jpeg.len);
        const int is_sent = http_send_text(s, head) && http_send(s, jpeg.data, jpeg.len) &&
                            http_send_text(s, "\r\n") && http_nap(s, what->pause_ms);
        fn_buf_free(&jpeg);
        if (!is_sent)
            return;
    }
    while (what->is_silent && http_nap(s, 50))
        ;
}

static const char *start_server(http_answer answer, void *user, const char *path) {
    static char address[128];
    server = http_start(answer, user);
    if (!server)
        fail_msg("no server on the loopback interface");
    snprintf(address, sizeof address, "http://127.0.0.1:%d/%s", http_port(server), path);
    return address;
}

static void a_slow_consumer_gets_the_newest_frame(void **state) {
    (void)state;
    serving what = {.n_pictures = 200, .pause_ms = 10, .is_silent = 1};
    fn_video *video;
    open_stream(&video, start_server(send_pictures, &what, "camera.mjpg"), NULL);
    const fn_video_info *info = fn_video_get_info(video);
    assert_int_equal(info->is_live, 1);
    assert_int_equal(info->width, CLIP_WIDTH);
    assert_string_equal(info->codec, "mjpeg");
    assert_int_equal((int)info->n_frames, 0);
    int64_t last = -1;
    double last_s = -1;
    for (int i = 0; i < 12; i++) {
        const fn_video_counts before = fn_video_get_counts(video);
        fn_frame *frame = next_frame(video);
        const int64_t index = (int64_t)fn_frame_index(frame);
        assert_int_equal(clip_number(fn_frame_image(frame)), index);
        assert_true(index > last && fn_frame_time(frame) > last_s);
        assert_true(index + 1 >= (int64_t)before.n_decoded);
        last = index;
        last_s = fn_frame_time(frame);
        fn_frame_free(frame);
        nap(80);
    }
    assert_true(fn_video_get_counts(video).n_dropped > 0);
    free_at_once(video);
}

static void a_stream_that_breaks_off_comes_back(void **state) {
    (void)state;
    serving what = {.n_pictures = 15, .pause_ms = 10};
    fn_video *video;
    fn_video_options options = FN_VIDEO_OPTIONS_INIT;
    options.policy = FN_FRAMES_EVERY;
    open_stream(&video, start_server(send_pictures, &what, "camera.mjpg"), &options);
    double last_s = -1;
    for (int i = 0; i < 30; i++) {
        fn_frame *frame = next_frame(video);
        assert_int_equal(clip_number(fn_frame_image(frame)), i < 15 ? i : 100 + i - 15);
        assert_int_equal(fn_frame_is_break(frame), i == 15);
        assert_int_equal(fn_frame_index(frame), i);
        assert_true(fn_frame_time(frame) > last_s);
        last_s = fn_frame_time(frame);
        fn_frame_free(frame);
    }
    assert_true(last_s > 0.5); // the pause has passed
    assert_int_equal(fn_video_get_counts(video).n_reconnects, 1);
    assert_true(has_note(&log_, "the stream has ended; trying again in 0.5 s"));
    assert_true(has_note(&log_, "it is back"));
    free_at_once(video);
}

static void a_break_reaches_whoever_takes_the_newest(void **state) {
    (void)state;
    serving what = {.n_pictures = 15, .pause_ms = 10};
    fn_video *video;
    open_stream(&video, start_server(send_pictures, &what, "camera.mjpg"), NULL);
    fn_frame_free(next_frame(video));
    await_note(&log_, "it is back");
    nap(100); // the frame that bore the break was replaced
    int n_breaks = 0;
    for (int i = 0; i < 3; i++) {
        fn_frame *frame = next_frame(video);
        n_breaks += fn_frame_is_break(frame);
        fn_frame_free(frame);
    }
    assert_true(n_breaks >= 1);
    free_at_once(video);
}

static void a_break_may_be_the_end(void **state) {
    (void)state;
    serving what = {.n_pictures = 15, .pause_ms = 40};
    fn_video *video;
    fn_video_options options = FN_VIDEO_OPTIONS_INIT;
    options.policy = FN_FRAMES_EVERY;
    options.reconnects = -1;
    open_stream(&video, start_server(send_pictures, &what, "camera.mjpg"), &options);
    int n = 0;
    double decode_ms = 0, last_s = 0;
    for (fn_frame *frame; (frame = next_frame(video)); n++) {
        assert_true(fn_frame_decode_ms(frame) > 0);
        decode_ms += (double)fn_frame_decode_ms(frame);
        last_s = fn_frame_time(frame);
        fn_frame_free(frame);
    }
    assert_true(decode_ms < last_s * 1000 / 2); // the pauses of the source are not work
    assert_int_equal(n, 15);
    free_at_once(video);
}

static void a_server_that_is_gone_is_given_up(void **state) {
    (void)state;
    serving what = {.n_pictures = 3, .pause_ms = 5};
    fn_video *video;
    fn_frame *frame = NULL;
    fn_video_options options = FN_VIDEO_OPTIONS_INIT;
    options.policy = FN_FRAMES_EVERY;
    options.reconnects = 2;
    open_stream(&video, start_server(send_pictures, &what, "camera.mjpg"), &options);
    await_note(&log_, "trying again in 0.5 s");
    http_stop(server);
    server = NULL;
    int rc;
    while ((rc = fn_video_next(video, &frame)) == FN_OK && frame)
        fn_frame_free(frame);
    assert_int_equal(rc, FN_EIO);
    assert_non_null(strstr(fn_last_error(), "refused; given up after 2 tries"));
    assert_true(has_note(&log_, "refused; trying again in 1.0 s"));
    free_at_once(video);
}

static void the_pause_before_a_try_can_be_left(void **state) {
    (void)state;
    serving what = {.n_pictures = 5, .pause_ms = 5};
    fn_video *video;
    open_stream(&video, start_server(send_pictures, &what, "camera.mjpg"), NULL);
    await_note(&log_, "trying again in 0.5 s");
    http_stop(server);
    server = NULL;
    await_note(&log_, "trying again in 2.0 s");
    const int64_t start = fn_clock_ms();
    fn_video_free(video);
    assert_true(fn_clock_ms() - start < 1500);
}

static void silence_is_a_break(void **state) {
    (void)state;
    serving what = {.n_pictures = 5, .pause_ms = 5, .is_silent = 1};
    fn_video *video;
    fn_video_options options = FN_VIDEO_OPTIONS_INIT;
    options.timeout_ms = 1000;
    open_stream(&video, start_server(send_pictures, &what, "camera.mjpg"), &options);
    await_note(&log_, "nothing came in time; trying again");
    free_at_once(video);
}

static void servers_that_give_no_video_end_in_a_line(void **state) {
    (void)state;
    fn_video_options options = FN_VIDEO_OPTIONS_INIT;
    char address[128];
    serving what = {.head = "HTTP/1.0 404 Not Found\r\n\r\n"};
    options.timeout_ms = 700;
    snprintf(address, sizeof address, "%s", start_server(send_pictures, &what, "x.mjpg"));
    open_fails(address, &options, FN_EIO, "404");
    what.head = "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n<html>It works!</html>";
    open_fails(address, &options, FN_EIO, "no video");
    what.head = "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n";
    open_fails(address, &options, FN_EIO, "no video");
    what.head =
        "HTTP/1.0 200 OK\r\nConnection: close\r\nX-Slow: it is a long way to the end of this line\r\n";
    what.head_pause_ms = 100;
    open_fails(address, &options, FN_ETIMEOUT, "in time");
    what = (serving){.is_silent = 1};
    open_fails(address, &options, FN_ETIMEOUT, "in time");
    http_stop(server);
    server = NULL;
    open_fails(address, &options, FN_EIO, "refused");
}

static void passwords_stay_out_of_messages(void **state) {
    (void)state;
    fn_video *video = NULL;
    static const struct {
        const char *text;
        int code;
    } addresses[] = {
        {"http://ada:secret@127.0.0.1:1/a", FN_EIO},
        {"rtsp://ada:se@cret@127.0.0.1:1/", FN_EIO},
        {"HTTP://ada:secret@127.0.0.1:1/", FN_EIO},
        {"http://127.0.0.1:1/?user=ada&pwd=secret", FN_EIO},
        {"http://ada:/se?cret@127.0.0.1:1/", FN_EFORMAT}}; // FFmpeg takes / for the end of the host
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        assert_int_equal(fn_video_open(&video, addresses[i].text, NULL, NULL), addresses[i].code);
        assert_null(strstr(fn_last_error(), "cret"));
        assert_null(strstr(fn_last_error(), "ada"));
        assert_non_null(strstr(fn_last_error(), "://127.0.0.1:1/"));
    }
}

// ---- files on a server -----------------------------------------------------------------------------------

// A file; of one that is promised whole, so many tenths when user says so.
static void send_file(void *user, http_server *s, int n, const char *path) {
    char name[256], head[128];
    unsigned char *bytes;
    size_t size;
    const size_t tenths = user ? *(const size_t *)user : 10;
    (void)n;
    snprintf(name, sizeof name, "%s%s", folder, path);
    if (fn_read_file(&bytes, &size, name, 1 << 24) < 0) {
        http_send_text(s, "HTTP/1.0 404 Not Found\r\n\r\n");
        return;
    }
    snprintf(head, sizeof head, "HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n", size);
    if (http_send_text(s, head))
        http_send(s, bytes, size * tenths / 10);
    fn_free(bytes);
}

static void a_file_on_a_server_loses_no_frame(void **state) {
    (void)state;
    fn_video *video;
    assert_true(clip_write(clip, CLIP_WIDTH, CLIP_HEIGHT, 60, 25));
    open_stream(&video, start_server(send_file, NULL, "clip.mkv"), NULL);
    assert_int_equal(fn_video_get_info(video)->is_live, 0);
    for (int i = 0; i < 60; i++) {
        fn_frame *frame = next_frame(video);
        assert_int_equal(clip_number(fn_frame_image(frame)), i);
        assert_true(fabs(fn_frame_time(frame) - i / 25.0) < 0.0011);
        fn_frame_free(frame);
    }
    assert_null(next_frame(video));
    free_at_once(video);
}

static void write_text(const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(fn_write_file(path, text, strlen(text), 0644), FN_OK);
}

static void what_came_before_a_break_is_given(void **state) {
    (void)state;
    char command[400];
    fn_video *video;
    fn_frame *frame;
    size_t most = 6;
    fn_video_options options = FN_VIDEO_OPTIONS_INIT;
    options.reconnects = -1;
    if (system("command -v ffmpeg >/dev/null") != 0) {
        print_message("skipped: there is no ffmpeg to make a transport stream\n");
        return;
    }
    assert_true(clip_write(clip, CLIP_WIDTH, CLIP_HEIGHT, 100, 25));
    snprintf(command, sizeof command, "cd '%s' && ffmpeg -v quiet -i clip.mkv -c copy clip.ts </dev/null",
             folder);
    assert_int_equal(system(command), 0);
    open_stream(&video, start_server(send_file, &most, "clip.ts"), &options);
    assert_int_equal(fn_video_get_info(video)->is_live, 0); // it has an end, though it does not say when
    int n = 0, last = -1, rc;
    while ((rc = fn_video_next(video, &frame)) == FN_OK && frame) {
        const int number = clip_number(fn_frame_image(frame));
        assert_true(number > last &&
                    (number == n || n >= 50)); // the last ones lean on others that did not come
        last = number;
        n++;
        fn_frame_free(frame);
    }
    assert_int_equal(rc, FN_EIO);
    assert_in_range(n, 50, 65);
    free_at_once(video);
}

static void a_playlist_on_a_server_reads_no_file_here(void **state) {
    (void)state;
    char text[256], address[128];
    fn_video_options options = FN_VIDEO_OPTIONS_INIT;
    options.timeout_ms = 3000;
    assert_true(clip_write(clip, CLIP_WIDTH, CLIP_HEIGHT, 20, 25));
    snprintf(address, sizeof address, "%s", start_server(send_file, NULL, "list.m3u8"));
    static const char *const ways[] = {"file://%s/clip.mkv", "%s/clip.mkv", "concat:%s/clip.mkv",
                                       "subfile,,start,0,end,0,,:%s/clip.mkv", "crypto:%s/clip.mkv"};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        int n = snprintf(text, sizeof text, "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n");
        n += snprintf(text + n, sizeof text - (size_t)n, ways[i], folder);
        snprintf(text + n, sizeof text - (size_t)n, "\n#EXT-X-ENDLIST\n");
        write_text("list.m3u8", text);
        fn_video *video = NULL;
        assert_true(fn_video_open(&video, address, &options, NULL) < 0);
        assert_null(video);
    }
}

static void a_playlist_of_segments_is_a_video(void **state) {
    (void)state;
    char command[400];
    fn_video *video;
    if (system("command -v ffmpeg >/dev/null") != 0) {
        print_message("skipped: there is no ffmpeg to cut a playlist's segments\n");
        return;
    }
    assert_true(clip_write(clip, CLIP_WIDTH, CLIP_HEIGHT, 240, 25));
    snprintf(
        command, sizeof command,
        "cd '%s' && ffmpeg -v quiet -i clip.mkv -c copy -f hls -hls_time 2 -hls_playlist_type vod list.m3u8 "
        "</dev/null",
        folder);
    assert_int_equal(system(command), 0);
    open_stream(&video, start_server(send_file, NULL, "list.m3u8"), NULL);
    assert_int_equal(fn_video_get_info(video)->is_live, 0);
    int n = 0;
    for (fn_frame *frame; (frame = next_frame(video)); n++) {
        assert_int_equal(clip_number(fn_frame_image(frame)), n);
        fn_frame_free(frame);
    }
    assert_int_equal(n, 240);
    free_at_once(video);
}

// ---- servers of others -----------------------------------------------------------------------------------

/// Starts a program as the child; what it prints comes from the descriptor that is returned.
static int start(char *const *words) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execvp(words[0], words);
        _exit(127);
    }
    close(ends[1]);
    return ends[0];
}

/// Opens a stream whose server is only just starting.
static void open_soon(fn_video **out, const char *address) {
    const int64_t until = fn_clock_ms() + HANG_MS;
    log_ = (journal){.lock = PTHREAD_MUTEX_INITIALIZER};
    control = (fn_control)FN_CONTROL_INIT;
    control.user = &log_;
    control.log = note;
    while (fn_video_open(out, address, NULL, &control) != FN_OK) {
        if (fn_clock_ms() > until)
            fail_msg("%s", fn_last_error());
        nap(100);
    }
}

static void take_rising(fn_video *video, int n) {
    int last = -1;
    for (int i = 0; i < n; i++) {
        fn_frame *frame = next_frame(video);
        const int number = clip_number(fn_frame_image(frame));
        assert_true(number >= 0);
        assert_true(number > last || fn_frame_is_break(frame) || number < 30);
        last = number;
        fn_frame_free(frame);
    }
}

static void a_killed_ffmpeg_comes_back(void **state) {
    (void)state;
    char port[16], address[64], listen_at[64];
    if (system("command -v ffmpeg >/dev/null") != 0) {
        print_message("skipped: there is no ffmpeg to serve MJPEG\n");
        return;
    }
    fn_video *video;
    assert_true(clip_write(clip, CLIP_WIDTH, CLIP_HEIGHT, 200, 25));
    http_server *unused = http_start(send_pictures, NULL); // finds a free port
    assert_non_null(unused);
    snprintf(port, sizeof port, "%d", http_port(unused));
    http_stop(unused);
    snprintf(address, sizeof address, "http://127.0.0.1:%s/x.mjpg", port);
    snprintf(listen_at, sizeof listen_at, "http://127.0.0.1:%s", port);
    char *words[] = {"ffmpeg", "-nostdin", "-v",    "quiet", "-re", "-stream_loop", "-1",     "-i",
                     clip,     "-c:v",     "mjpeg", "-q:v",  "3",   "-f",           "mpjpeg", "-listen",
                     "1",      listen_at,  NULL};
    close(start(words));
    open_soon(&video, address);
    assert_int_equal(fn_video_get_info(video)->is_live, 1);
    take_rising(video, 20);
    end_child();
    await_note(&log_, "trying again in");
    close(start(words));
    await_note(&log_, "it is back");
    int n_breaks = 0;
    for (int i = 0; i < 20; i++) {
        fn_frame *frame = next_frame(video);
        n_breaks += fn_frame_is_break(frame);
        fn_frame_free(frame);
    }
    assert_true(n_breaks >= 1);
    free_at_once(video);
}

static void a_killed_rtsp_server_comes_back(void **state) {
    (void)state;
    char *program = getenv("RTSP_SERVER"), address[100] = "", port[16] = "", file[100];
    if (!program) {
        print_message("skipped: RTSP, this build has no server for it (libgstrtspserver-1.0-dev)\n");
        return;
    }
    fn_video *video;
    snprintf(file, sizeof file, "%s/clip.mp4", folder);
    assert_true(clip_write(file, CLIP_WIDTH, CLIP_HEIGHT, 250, 25));
    char *words[] = {program, file, NULL, NULL};
    FILE *said = fdopen(start(words), "r");
    assert_non_null(fgets(address, sizeof address, said));
    fclose(said);
    address[strcspn(address, "\n")] = 0;
    assert_int_equal(sscanf(address, "rtsp://127.0.0.1:%15[0-9]", port), 1);
    open_soon(&video, address);
    const fn_video_info *info = fn_video_get_info(video);
    assert_int_equal(info->is_live, 1);
    assert_string_equal(info->codec, "h264");
    take_rising(video, 20);
    end_child();
    await_note(&log_, "trying again in");
    words[2] = port;
    close(start(words));
    await_note(&log_, "it is back");
    take_rising(video, 20);
    assert_int_equal(fn_video_get_counts(video).n_reconnects, 1);
    free_at_once(video);
    open_fails("rtsp://127.0.0.1:1/clip", NULL, FN_EIO, "refused");
    char *at = strstr(address, "/clip");
    memcpy(at, "/none", 5);
    open_fails(address, NULL, FN_EIO, "404");
}

static void a_certificate_of_nobody_trusted_is_refused(void **state) {
    (void)state;
    char command[600], port[16], address[100], playlist[200];
    fn_video_options any = FN_VIDEO_OPTIONS_INIT;
    fn_video *video;
    any.any_certificate = 1;
    open_fails("rtsps://127.0.0.1:1/clip", NULL, FN_EUNSUPPORTED, "--any-certificate");
    open_fails("rtsps://127.0.0.1:1/clip", &any, FN_EIO, "refused");
    if (system("command -v openssl >/dev/null") != 0) {
        print_message("skipped: there is no openssl to serve https\n");
        return;
    }
    assert_true(clip_write(clip, CLIP_WIDTH, CLIP_HEIGHT, 30, 25));
    http_server *unused = http_start(send_pictures, NULL); // finds a free port
    assert_non_null(unused);
    snprintf(port, sizeof port, "%d", http_port(unused));
    http_stop(unused);
    snprintf(command, sizeof command,
             "cd '%s' && openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -addext "
             "subjectAltName=IP:127.0.0.1 -days 2 -keyout key.pem -out cert.pem 2>/dev/null && exec openssl "
             "s_server -accept 127.0.0.1:%s -key key.pem -cert cert.pem -WWW",
             folder, port);
    char *words[] = {"sh", "-c", command, NULL};
    const int said = start(words);
    snprintf(address, sizeof address, "https://127.0.0.1:%s/clip.mkv", port);
    char byte; // it says ACCEPT when it listens
    assert_int_equal(read(said, &byte, 1), 1);
    open_fails(address, NULL, FN_EIO, "its certificate");
    open_stream(&video, address, &any);
    for (int i = 0; i < 30; i++)
        fn_frame_free(next_frame(video));
    free_at_once(video);
    // Nor may a playlist in the open lead there.
    snprintf(playlist, sizeof playlist,
             "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:1.2,\n%s\n#EXT-X-ENDLIST\n", address);
    write_text("list.m3u8", playlist);
    const char *list = start_server(send_file, NULL, "list.m3u8");
    video = NULL;
    assert_true(fn_video_open(&video, list, NULL, NULL) < 0);
    assert_null(video);
    open_stream(&video, list, &any);
    fn_frame_free(next_frame(video));
    free_at_once(video);
    close(said);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    // No proxy stands between a test and its own server.
    unsetenv("http_proxy");
    unsetenv("HTTP_PROXY");
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_slow_consumer_gets_the_newest_frame),
        TEST(a_stream_that_breaks_off_comes_back),
        TEST(a_break_reaches_whoever_takes_the_newest),
        TEST(a_break_may_be_the_end),
        TEST(a_server_that_is_gone_is_given_up),
        TEST(the_pause_before_a_try_can_be_left),
        TEST(silence_is_a_break),
        TEST(servers_that_give_no_video_end_in_a_line),
        TEST(passwords_stay_out_of_messages),
        TEST(a_file_on_a_server_loses_no_frame),
        TEST(what_came_before_a_break_is_given),
        TEST(a_playlist_on_a_server_reads_no_file_here),
        TEST(a_playlist_of_segments_is_a_video),
        TEST(a_killed_ffmpeg_comes_back),
        TEST(a_killed_rtsp_server_comes_back),
        TEST(a_certificate_of_nobody_trusted_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
