// SPDX-License-Identifier: Apache-2.0
//
// Where frames come from, whatever it is: one at a time, upright, with the time the source gives them.
#ifndef FN_VIDEO_SOURCE_H
#define FN_VIDEO_SOURCE_H

#include <facenet/video.h>

#include "video/frame.h"
#include "video/video_module.h"

typedef struct fn_source fn_source;
typedef struct fn_folder fn_folder;

/// What is wanted of a source. All that it points to outlives the source.
typedef struct fn_source_request {
    const char *text; // as the caller names the source
    const fn_video_options *options;
    // Asked often, from any thread: FN_OK, or the code with which to end at once.
    int (*is_over)(void *user);
    // Takes a line about damage that was passed over.
    void (*warn)(void *user, const char *line);
    void *user;
} fn_source_request;

/// Opens it; about->rotation, width and height stay 0 until a frame is there. *bursts: see fn_av_about.
int fn_source_open(fn_source **out, const fn_source_request *request, fn_video_info *about, int *bursts);
/// A frame with its pixels, upright, and time_s (or NaN) set; NULL at the end. *orientation: what was
/// applied.
int fn_source_read(fn_source *source, fn_frame **out, int *orientation, uint64_t *n_damaged);
void fn_source_close(fn_source *source);

/// What messages call a source: no password in it. New memory or NULL.
char *fn_source_name(const char *text);

/// The table of facenet-video.so, which is loaded once. FN_EUNSUPPORTED with what to do.
int fn_video_module_get(const fn_video_module **out);

// ---- folders of pictures (source_folder.c) -------------------------------------------------------------

/// 1 when the text is a folder, or a pattern like "f/%04d.jpg" that is no file itself.
int fn_is_folder(const char *text);
int fn_folder_open(fn_folder **out, const fn_source_request *request, fn_video_info *about);
int fn_folder_read(fn_folder *folder, fn_frame **out, uint64_t *n_damaged);
void fn_folder_close(fn_folder *folder);

// ---- cameras (cameras.c) -------------------------------------------------------------------------------

int fn_is_camera(const char *path);
/// "cameras found: ..." or that there is none.
void fn_cameras_list(char *dst, size_t size);

#endif
