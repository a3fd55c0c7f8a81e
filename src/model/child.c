// SPDX-License-Identifier: Apache-2.0
//
// Running another program by posix_spawn and reading its two outputs until both are closed. The child
// stays in our process group, so that an interrupt from the terminal ends it too.
#define _GNU_SOURCE
#include "model/child.h"

#include "base/alloc.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define POLL_MS 100

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/// A pipe above the three standard descriptors, which the caller may have closed.
static int open_pipe(int ends[2]) {
    int low[2];
    ends[0] = ends[1] = -1;
    if (pipe2(low, O_CLOEXEC))
        return fn_fail(FN_EIO, "no pipe: %s", strerror(errno));
    int failed = 0;
    for (int i = 0; i < 2; i++) {
        ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, 3);
        failed |= ends[i] < 0;
        close(low[i]);
    }
    return failed ? fn_fail(FN_EIO, "no pipe: %s", strerror(errno)) : FN_OK;
}

static int spawn(pid_t *pid, const fn_child *child, int input, int out, int err) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    const char *path = getenv("PATH");
    char *path_line = fn_asprintf("PATH=%s", path ? path : "/usr/bin:/bin"), locale[] = "LC_ALL=C";
    char *plain[] = {path_line, locale, NULL};
    if (!path_line)
        return fn_fail_memory();
    if (posix_spawn_file_actions_init(&actions)) {
        fn_free(path_line);
        return fn_fail_memory();
    }
    if (posix_spawnattr_init(&attributes)) {
        posix_spawn_file_actions_destroy(&actions);
        fn_free(path_line);
        return fn_fail_memory();
    }
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    int error = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    error = error ? error : posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    error = error ? error : posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
    if (child->folder)
        error = error ? error : posix_spawn_file_actions_addchdir_np(&actions, child->folder);
    error = error ? error : posix_spawnattr_setsigmask(&attributes, &none);
    error = error ? error : posix_spawnattr_setsigdefault(&attributes, &defaults);
    error =
        error ? error : posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (!error)
        error = posix_spawnp(pid, child->argv[0], &actions, &attributes, (char *const *)child->argv,
                             child->plain_environment ? plain : environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    fn_free(path_line);
    if (error == ENOENT)
        return fn_fail(FN_ENOTFOUND, "the program '%s' is not installed", child->argv[0]);
    return error ? fn_fail(FN_EIO, "'%s' cannot be started: %s", child->argv[0], strerror(error)) : FN_OK;
}

/// Reads what is there. *fd becomes -1 at its end. Past the maximum: dropped, or FN_ELIMIT.
static int drain(int *fd, fn_buf *into, int drop) {
    char bytes[65536];
    ssize_t n = read(*fd, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR)
        return FN_OK;
    if (n <= 0) {
        close_fd(fd);
        return FN_OK;
    }
    size_t room = into->max - into->len;
    return fn_buf_append(into, bytes, drop && (size_t)n > room ? room : (size_t)n);
}

int fn_child_run(const fn_child *child, fn_buf *out, fn_buf *err, int *status, const fn_control *control) {
    int out_ends[2] = {-1, -1}, err_ends[2] = {-1, -1}, null = -1, input = -1, wait_status = 0;
    pid_t pid = -1;
    int rc = open_pipe(out_ends);
    if (rc == FN_OK)
        rc = open_pipe(err_ends);
    if (rc == FN_OK && child->input < 0 && (null = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0)
        rc = fn_fail(FN_EIO, "/dev/null: %s", strerror(errno));
    if (rc == FN_OK && (input = fcntl(child->input < 0 ? null : child->input, F_DUPFD_CLOEXEC, 3)) < 0)
        rc = fn_fail(FN_EIO, "no file descriptor: %s", strerror(errno));
    if (rc == FN_OK)
        rc = spawn(&pid, child, input, out_ends[1], err_ends[1]);
    close_fd(&out_ends[1]);
    close_fd(&err_ends[1]);
    close_fd(&input);
    close_fd(&null);
    while (rc == FN_OK && (out_ends[0] >= 0 || err_ends[0] >= 0)) {
        struct pollfd fds[2] = {{out_ends[0], POLLIN, 0}, {err_ends[0], POLLIN, 0}};
        int ready = poll(fds, 2, POLL_MS);
        if (ready < 0 && errno != EINTR)
            rc = fn_fail(FN_EIO, "'%s': %s", child->argv[0], strerror(errno));
        if (ready > 0 && fds[0].revents)
            rc = drain(&out_ends[0], out, 0);
        if (ready > 0 && fds[1].revents && rc == FN_OK)
            rc = drain(&err_ends[0], err, 1);
        if (rc == FN_OK)
            rc = fn_control_step(control, 0, 0);
    }
    close_fd(&out_ends[0]);
    close_fd(&err_ends[0]);
    if (pid > 0) {
        if (rc < 0)
            kill(pid, SIGTERM);
        pid_t done;
        while ((done = waitpid(pid, &wait_status, 0)) < 0 && errno == EINTR)
            ;
        if (done < 0)
            wait_status = 0; // somebody else has waited for it: its work must speak for itself
    }
    *status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
    return rc;
}
