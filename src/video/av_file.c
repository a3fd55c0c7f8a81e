// SPDX-License-Identifier: Apache-2.0
//
// Bytes of a descriptor that the caller has opened, instead of FFmpeg's own files: a pipe that says nothing
// can be left at any moment, and no path within a file is ever opened.
#include "video/av.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER = 65536, TICK_MS = 50 };

// Regular files are always ready; pipes are waited for in ticks, between which the caller is asked.
static int read_bytes(void *user, uint8_t *dst, int size) {
    fn_av_source *source = user;
    const fn_av_request *request = &source->request;
    for (;;) {
        if (request->is_over(request->user))
            return AVERROR_EXIT;
        struct pollfd ready = {.fd = request->fd, .events = POLLIN};
        const int n_ready = poll(&ready, 1, TICK_MS);
        if (n_ready < 0 && errno != EINTR)
            return AVERROR(errno);
        if (n_ready <= 0)
            continue;
        const ssize_t n = read(request->fd, dst, (size_t)size);
        if (n > 0) {
            source->is_begun = 1;
            return (int)n;
        }
        if (n == 0)
            return AVERROR_EOF;
        if (errno != EINTR && errno != EAGAIN)
            return AVERROR(errno);
    }
}

static int64_t seek_in(int fd, int64_t offset, int whence) {
    struct stat st;
    if (whence & AVSEEK_SIZE)
        return fstat(fd, &st) ? AVERROR(errno) : st.st_size;
    const off_t at = lseek(fd, offset, whence & ~AVSEEK_FORCE);
    return at < 0 ? AVERROR(errno) : at;
}

static int64_t seek_reading(void *user, int64_t offset, int whence) {
    return seek_in(((const fn_av_source *)user)->request.fd, offset, whence);
}

static int write_bytes(void *user, uint8_t *src, int size) {
    const int *fd = user;
    for (int put = 0; put < size;) {
        const ssize_t n = write(*fd, src + put, (size_t)(size - put));
        if (n < 0 && errno == EAGAIN)
            poll(&(struct pollfd){.fd = *fd, .events = POLLOUT}, 1, TICK_MS);
        else if (n < 0 && errno != EINTR)
            return AVERROR(errno);
        else if (n > 0)
            put += (int)n;
    }
    return size;
}

static int64_t seek_writing(void *user, int64_t offset, int whence) {
    return seek_in(*(const int *)user, offset, whence);
}

static AVIOContext *new_context(int writes, void *user, int can_seek) {
    AVIOContext *io = NULL;
    unsigned char *buffer = av_malloc(BUFFER);
    if (buffer && writes)
        io = avio_alloc_context(buffer, BUFFER, 1, user, NULL, write_bytes, can_seek ? seek_writing : NULL);
    else if (buffer)
        io = avio_alloc_context(buffer, BUFFER, 0, user, read_bytes, NULL, can_seek ? seek_reading : NULL);
    if (!io)
        av_free(buffer);
    return io;
}

AVIOContext *fn_av_file_open(fn_av_source *source) {
    struct stat st;
    const int can_seek = fstat(source->request.fd, &st) == 0 && S_ISREG(st.st_mode);
    return new_context(0, source, can_seek);
}

AVIOContext *fn_av_file_create(const int *fd, int can_seek) {
    return new_context(1, (void *)(uintptr_t)fd, can_seek);
}

void fn_av_file_close(AVIOContext **io) {
    if (*io)
        av_freep(&(*io)->buffer);
    avio_context_free(io);
}
