// SPDX-License-Identifier: Apache-2.0
//
// base.h: what every other header of facenet needs: error codes, the text of the last error, the
// version, the control block through which a caller watches, limits and stops long work, and how a file is
// written whole or not at all.
//
//     fn_gallery *gallery = NULL;
//     if (fn_gallery_open(&gallery, NULL, NULL) < 0)
//         fprintf(stderr, "%s\n", fn_last_error());
//
// Functions that can fail return FN_OK (0) or a negative fn_error. The code is for programs, the
// text of fn_last_error() for people. Unless a function says otherwise it may be called from any
// thread, and one handle may be used by several threads at once.
#ifndef FACENET_BASE_H
#define FACENET_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define FN_API __attribute__((visibility("default")))
#else
#define FN_API
#endif

#define FN_VERSION_MAJOR 0
#define FN_VERSION_MINOR 1
#define FN_VERSION_PATCH 0

/// Version of the library that is running, as "major.minor.patch". Static storage.
FN_API const char *fn_version(void);

/// One list for code, name and meaning, so that they cannot drift apart.
#define FN_ERROR_LIST(X)                                                                                     \
    X(OK, 0, "success")                                                                                      \
    X(ENOMEM, -1, "out of memory")                                                                           \
    X(EINVAL, -2, "an argument is wrong")                                                                    \
    X(EIO, -3, "reading or writing failed")                                                                  \
    X(ENOTFOUND, -4, "not found")                                                                            \
    X(EFORMAT, -5, "the bytes are damaged or of another format")                                             \
    X(EUNSUPPORTED, -6, "valid, but not supported")                                                          \
    X(ELIMIT, -7, "over a limit")                                                                            \
    X(EMODEL, -8, "the model is missing, wrong or does not fit")                                             \
    X(ESTORE, -9, "the gallery cannot be used")                                                              \
    X(ECONFLICT, -10, "contradicts what is stored")                                                          \
    X(ECANCELLED, -11, "cancelled by the caller")                                                            \
    X(ETIMEOUT, -12, "the deadline has passed")                                                              \
    X(EINTERNAL, -13, "a fault inside facenet")                                                              \
    X(ETRAIN, -14, "the training cannot go on: it collapsed or is not finite")

typedef enum fn_error {
#define FN_ERROR_ENUM(name, code, text) FN_##name = (code),
    FN_ERROR_LIST(FN_ERROR_ENUM)
#undef FN_ERROR_ENUM
} fn_error;

/// Name of a code ("FN_EIO"); "FN_?" for a number that is no code. Static storage.
FN_API const char *fn_error_name(int code);

/// Meaning of a code in a few words. Static storage.
FN_API const char *fn_error_text(int code);

/// One line about the last failure in this thread: what, where, what to do. Never NULL, empty
/// before the first failure. Valid until the next facenet call in the same thread.
FN_API const char *fn_last_error(void);

typedef enum fn_log_level { FN_LOG_DEBUG, FN_LOG_INFO, FN_LOG_WARNING } fn_log_level;

/// How a caller watches and limits long work. All fields may stay zero. Functions that take a
/// `const fn_control *` accept NULL. The callbacks may run on a worker thread, one at a time.
typedef struct fn_control {
    int version; // FN_CONTROL_VERSION
    void *user;  // handed to the callbacks unchanged
    // Called after each item: `done` items of `total` (0: not known). Non-zero asks to stop:
    // the work ends with FN_ECANCELLED at the next item.
    int (*progress)(void *user, uint64_t done, uint64_t total);
    // Receives warnings and notes as single lines without a newline.
    void (*log)(void *user, fn_log_level level, const char *message);
    int64_t deadline_ms; // on fn_clock_ms(); 0: none. Past it: FN_ETIMEOUT at the next item
} fn_control;
#define FN_CONTROL_VERSION 1
#define FN_CONTROL_INIT                                                                                      \
    { FN_CONTROL_VERSION, NULL, NULL, NULL, 0 }

/// Monotonic clock in milliseconds, for deadlines.
FN_API int64_t fn_clock_ms(void);

/// FN_OK, FN_ECANCELLED or FN_ETIMEOUT, after telling the progress callback. control may be NULL.
FN_API int fn_control_step(const fn_control *control, uint64_t done, uint64_t total);

/// Sends one formatted line to the caller's logger, if there is one.
FN_API void fn_control_log(const fn_control *control, fn_log_level level, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/// Writes bytes to path through a hidden temporary file beside it, synced and renamed: the name holds the
/// old bytes or all of the new ones, never a part. mode: its permissions, less those the umask takes away.
/// A link is kept, and what it leads to is written. FN_ENOMEM; FN_EIO, also when there is something else than
/// a regular file: devices, pipes, folders stay what they are.
FN_API int fn_write_file(const char *path, const void *bytes, size_t n, unsigned mode);

#ifdef __cplusplus
}
#endif
#endif
