// SPDX-License-Identifier: Apache-2.0
//
// The cameras of this machine: devices of Video4Linux2 that can capture, as their drivers say
// (https://docs.kernel.org/userspace-api/media/v4l/vidioc-querycap.html).
#define _DEFAULT_SOURCE // major
#include "base/alloc.h"
#include "video/source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { VIDEO_MAJOR = 81, MAX_CAMERAS = 64 };

int fn_is_camera(const char *path) {
    struct stat st;
    if (stat(path, &st) == 0)
        return S_ISCHR(st.st_mode) && major(st.st_rdev) == VIDEO_MAJOR;
    return strncmp(path, "/dev/video", 10) == 0; // one that is not plugged in
}

// 1 when the device captures pictures. Devices for metadata and encoders bear the same names.
static int ask(fn_camera *camera) {
    struct v4l2_capability can;
    memset(&can, 0, sizeof can);
    const int fd = open(camera->path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) { // busy or forbidden: it is there all the same
        snprintf(camera->name, sizeof camera->name, "%s", strerror(errno));
        return errno == EACCES || errno == EBUSY;
    }
    const int rc = ioctl(fd, VIDIOC_QUERYCAP, &can);
    close(fd);
    if (rc)
        return 0;
    const unsigned caps = can.capabilities & V4L2_CAP_DEVICE_CAPS ? can.device_caps : can.capabilities;
    snprintf(camera->name, sizeof camera->name, "%.*s", (int)sizeof can.card, (const char *)can.card);
    return caps & V4L2_CAP_VIDEO_CAPTURE ? 1 : 0;
}

// The number of a name "video<number>", or -1.
static int number_of(const char *name) {
    char *end;
    if (strncmp(name, "video", 5) != 0 || name[5] < '0' || name[5] > '9')
        return -1;
    const long n = strtol(name + 5, &end, 10);
    return *end || n > 9999 ? -1 : (int)n;
}

static int by_number(const void *a, const void *b) {
    return *(const int *)a - *(const int *)b;
}

int fn_cameras(fn_camera *dst, int size) {
    int numbers[MAX_CAMERAS], n = 0, n_cameras = 0;
    DIR *folder = opendir("/dev");
    if (!folder)
        return 0;
    for (struct dirent *entry; n < MAX_CAMERAS && (entry = readdir(folder));) {
        const int number = number_of(entry->d_name);
        if (number >= 0)
            numbers[n++] = number;
    }
    closedir(folder);
    qsort(numbers, (size_t)n, sizeof *numbers, by_number);
    for (int i = 0; i < n; i++) {
        fn_camera camera;
        snprintf(camera.path, sizeof camera.path, "/dev/video%d", numbers[i]);
        if (!ask(&camera))
            continue;
        if (n_cameras < size)
            dst[n_cameras] = camera;
        n_cameras++;
    }
    return n_cameras;
}

void fn_cameras_list(char *dst, size_t size) {
    fn_camera cameras[8];
    const int n = fn_cameras(cameras, 8);
    size_t at = (size_t)snprintf(dst, size, "%s", n ? "cameras found: " : "no camera was found");
    for (int i = 0; i < n && i < 8 && at < size; i++)
        at += (size_t)snprintf(dst + at, size - at, "%s%s (%s)", i ? ", " : "", cameras[i].path,
                               cameras[i].name);
}
