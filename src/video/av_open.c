// SPDX-License-Identifier: Apache-2.0
//
// A source is opened: container, the stream with the pictures, its decoder. What a file may be is a list of
// containers of video, and nothing that it names is opened; a stream keeps to the protocols of its kind.
// Options and their meaning: FFmpeg's documentation of formats, protocols and devices
// (https://ffmpeg.org/ffmpeg-formats.html, -protocols.html, -devices.html).
#include "video/av.h"

#include <libavdevice/avdevice.h>
#include <libavutil/avstring.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define VIDEOS                                                                                               \
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,obu,ivf,flv,ogg,asf,mjpeg,mpjpeg,gif,apng,dv,mxf," \
    "nut,yuv4mpegpipe"
#define STREAMS                                                                                              \
    VIDEOS ",hls,rtsp,rtp,sdp,aac,ac3,eac3,mp3,webvtt" // a playlist may have sound beside the pictures

enum { MAX_STREAMS = 64, MAX_FPS = 1000, LARGE = 640 };

// ---- waiting -----------------------------------------------------------------------------------------

static int is_over(void *user) {
    const fn_av_request *request = user;
    return request->is_over(request->user) != FN_OK;
}

int fn_av_is_over(const fn_av_request *request, char *why) {
    const int code = request->is_over(request->user);
    if (code == FN_ETIMEOUT)
        return fn_av_fail(why, code, "nothing came in time");
    return code ? fn_av_fail(why, code, "stopped") : FN_OK;
}

// Why it could not be opened: the caller's wish first.
static int failed(const fn_av_request *request, int averror, char *why) {
    const int code = fn_av_is_over(request, why);
    return code ? code : fn_av_fail_with(why, averror, "cannot be opened");
}

static AVFormatContext *new_format(fn_av_source *source) {
    AVFormatContext *format = avformat_alloc_context();
    if (!format)
        return NULL;
    format->interrupt_callback = (AVIOInterruptCB){is_over, &source->request};
    format->max_streams = MAX_STREAMS;
    return format;
}

// ---- files -------------------------------------------------------------------------------------------

static int refuse(AVFormatContext *format, AVIOContext **io, const char *url, int flags,
                  AVDictionary **options) {
    (void)format, (void)url, (void)flags, (void)options;
    *io = NULL;
    return AVERROR(EPERM);
}

static int probe(const AVInputFormat **container, fn_av_source *source, char *why) {
    const int score = av_probe_input_buffer2(source->io, container, "", NULL, 0, 0);
    const int code = fn_av_is_over(&source->request, why);
    if (code)
        return code;
    if (source->io->error < 0 && source->io->error != AVERROR_EOF)
        return fn_av_fail_with(why, source->io->error, "cannot be read");
    if (score < 0 || !*container)
        return fn_av_fail(why, FN_EFORMAT, "%s",
                          source->is_begun ? "there is no video in it, or its beginning is damaged"
                                           : "it is empty");
    if (av_match_list((*container)->name, VIDEOS, ',') <= 0)
        return fn_av_fail(why, FN_EFORMAT, "there is no video in it (it looks like: %s)",
                          (*container)->long_name ? (*container)->long_name : (*container)->name);
    return FN_OK;
}

static int open_file(fn_av_source *source, char *why) {
    const AVInputFormat *container = NULL;
    AVDictionary *options = NULL;
    int rc;
    source->io = fn_av_file_open(source);
    if (!source->io)
        return fn_av_fail(why, FN_ENOMEM, "out of memory");
    if ((rc = probe(&container, source, why)) < 0)
        return rc;
    source->format = new_format(source);
    if (!source->format)
        return fn_av_fail(why, FN_ENOMEM, "out of memory");
    source->format->pb = source->io;
    source->format->io_open = refuse;
    av_dict_set(&options, "format_whitelist", VIDEOS, 0);
    av_dict_set(&options, "protocol_whitelist", "none", 0);
    fn_av_forget();
    rc = avformat_open_input(&source->format, "", container, &options);
    av_dict_free(&options);
    if (rc == 0)
        return FN_OK;
    if ((rc == AVERROR_INVALIDDATA || rc == AVERROR_EOF) && !fn_av_is_over(&source->request, why))
        return fn_av_fail(why, FN_EFORMAT, "damaged or cut short%s%s", *fn_av_complaint() ? ": " : "",
                          fn_av_complaint());
    return failed(&source->request, rc, why);
}

// ---- cameras -----------------------------------------------------------------------------------------

// Large pictures come from most cameras fast enough only as JPEG. The ways go from what was asked to
// what the camera likes.
enum { WITH_JPEG, AS_ASKED, AS_IT_LIKES, N_WAYS };

// The library of devices brings in sound and screens, and takes as long to load as all others together.
static const AVInputFormat *find_cameras(void) {
    static const char name[] = "libavdevice.so." AV_STRINGIFY(LIBAVDEVICE_VERSION_MAJOR);
    void (*register_all)(void) = NULL;
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL); // for as long as the process lasts
    void *symbol = library ? dlsym(library, "avdevice_register_all") : NULL;
    memcpy(&register_all, &symbol, sizeof symbol);
    if (register_all)
        register_all();
    return av_find_input_format("v4l2");
}

static int try_camera(fn_av_source *source, const AVInputFormat *container, int way) {
    const fn_av_request *request = &source->request;
    AVDictionary *options = NULL;
    char text[32];
    source->format = new_format(source);
    if (!source->format)
        return AVERROR(ENOMEM);
    source->format->flags |= AVFMT_FLAG_NONBLOCK;
    if (way != AS_IT_LIKES && request->width > 0 && request->height > 0) {
        snprintf(text, sizeof text, "%dx%d", request->width, request->height);
        av_dict_set(&options, "video_size", text, 0);
    }
    if (way != AS_IT_LIKES && request->fps > 0) {
        snprintf(text, sizeof text, "%.6g", request->fps);
        av_dict_set(&options, "framerate", text, 0);
    }
    if (way == WITH_JPEG)
        av_dict_set(&options, "input_format", "mjpeg", 0);
    const int rc = avformat_open_input(&source->format, request->address, container, &options);
    av_dict_free(&options);
    return rc;
}

static int open_camera(fn_av_source *source, char *why) {
    const AVInputFormat *container = find_cameras();
    int rc = AVERROR(EINVAL);
    if (!container)
        return fn_av_fail(why, FN_EUNSUPPORTED, "FFmpeg has no cameras here (Video4Linux2, libavdevice)");
    for (int way = source->request.width > LARGE ? WITH_JPEG : AS_ASKED; way < N_WAYS && rc < 0; way++) {
        rc = try_camera(source, container, way);
        if (rc == AVERROR(EBUSY))
            return fn_av_fail(why, FN_EIO, "the camera is in use by another program");
        if (rc == AVERROR(EACCES) || rc == AVERROR(EPERM))
            return fn_av_fail(why, FN_EIO, "no permission (cameras belong to the group video)");
        if (rc == AVERROR(ENOENT) || rc == AVERROR(ENODEV) || rc == AVERROR(ENXIO))
            break;
    }
    return rc < 0 ? failed(&source->request, rc, why) : FN_OK;
}

// ---- streams -----------------------------------------------------------------------------------------

// Every https connection, those of a playlist's parts too, is to somebody with a certificate.
static int open_checked(AVFormatContext *format, AVIOContext **io, const char *url, int flags,
                        AVDictionary **options) {
    const fn_av_source *source = format->opaque;
    AVDictionary *own = NULL;
    AVDictionary **taken = options ? options : &own;
    av_dict_set(taken, "tls_verify", source->request.any_certificate ? "0" : "1", 0);
    const int rc = source->open_io(format, io, url, flags, taken);
    av_dict_free(&own);
    return rc;
}

// What FFmpeg calls an error of reading is often something that it said before.
static int say_why(const fn_av_source *source, int averror, char *why) {
    static const char *const certificates[] = {"Unable to verify", "Peer certificate", "The certificate"};
    const char *complaint = fn_av_complaint();
    const int code = fn_av_is_over(&source->request, why);
    if (code || averror != AVERROR(EIO))
        return failed(&source->request, averror, why);
    if (av_strstart(complaint, "Failed to resolve", NULL))
        return fn_av_fail(why, FN_EIO, "%s", complaint);
    for (size_t i = 0; i < sizeof certificates / sizeof *certificates; i++)
        if (av_strstart(complaint, certificates[i], NULL))
            return fn_av_fail(
                why, FN_EIO,
                "its certificate is not for that name by anybody trusted here (%s); where that is "
                "known and well: any_certificate (--any-certificate)",
                complaint);
    return fn_av_fail(why, FN_EIO, "it gives no video, or breaks off before there is one");
}

static int open_stream(fn_av_source *source, char *why) {
    static const struct {
        const char *start, *protocols;
    } kinds[] = {{"rtsp", "rtsp,rtsps,rtp,srtp,udp,tcp,tls,crypto"},
                 {"https", "https,httpproxy,tcp,tls,crypto"}, // nor does it lead away from there
                 {"http", "http,https,httpproxy,tcp,tls,crypto"},
                 {"rtp", "rtp,srtp,udp"},
                 {"udp", "udp"}};
    const char *address = source->request.address, *protocols = "none";
    AVDictionary *options = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (av_strstart(address, kinds[i].start, NULL)) {
            protocols = kinds[i].protocols;
            break;
        }
    }
    if (av_strstart(address, "rtsps", NULL) && !source->request.any_certificate)
        return fn_av_fail(
            why, FN_EUNSUPPORTED,
            "FFmpeg checks no certificates of rtsps; where that is known and well: any_certificate "
            "(--any-certificate)");
    source->format = new_format(source);
    if (!source->format)
        return fn_av_fail(why, FN_ENOMEM, "out of memory");
    source->open_io = source->format->io_open;
    source->format->opaque = source;
    source->format->io_open = open_checked;
    source->format->max_analyze_duration = 2 * AV_TIME_BASE;
    source->format->fps_probe_size = 2; // the rate is not worth waiting for
    av_dict_set(&options, "format_whitelist", STREAMS, 0);
    av_dict_set(&options, "protocol_whitelist", protocols, 0);
    av_dict_set(&options, "rtsp_flags", "prefer_tcp",
                0); // loses nothing on the way; UDP where TCP is refused
    fn_av_forget();
    const int rc = avformat_open_input(&source->format, address, NULL, &options);
    av_dict_free(&options);
    return rc < 0 ? say_why(source, rc, why) : FN_OK;
}

// ---- the stream with the pictures --------------------------------------------------------------------

// FFmpeg looks into the streams with decoders of its own, which must keep to the limit too.
static int look_into_streams(fn_av_source *source) {
    AVFormatContext *format = source->format;
    const unsigned n = format->nb_streams;
    AVDictionary **options = av_calloc(n ? n : 1, sizeof(AVDictionary *));
    if (!options)
        return AVERROR(ENOMEM);
    for (unsigned i = 0; i < n; i++)
        av_dict_set_int(&options[i], "max_pixels", source->request.max_pixels, 0);
    const int rc = avformat_find_stream_info(format, n ? options : NULL);
    for (unsigned i = 0; i < n; i++)
        av_dict_free(&options[i]);
    av_free(options);
    return rc;
}

static int find_stream(fn_av_source *source, const AVCodec **decoder, char *why) {
    AVFormatContext *format = source->format;
    const int best = av_find_best_stream(format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (best < 0 || format->streams[best]->disposition & AV_DISPOSITION_ATTACHED_PIC) {
        const int has_sound = av_find_best_stream(format, AVMEDIA_TYPE_AUDIO, -1, -1, NULL, 0) >= 0;
        return fn_av_fail(why, FN_EFORMAT, "there is no video in it%s", has_sound ? ", only sound" : "");
    }
    source->stream = format->streams[best];
    for (unsigned i = 0; i < format->nb_streams; i++) {
        if ((int)i != best)
            format->streams[i]->discard = AVDISCARD_ALL;
    }
    const AVCodecParameters *coded = source->stream->codecpar;
    if ((int64_t)coded->width * coded->height > source->request.max_pixels)
        return fn_av_fail(why, FN_ELIMIT, "%d x %d pixels, the limit is %lld in all", coded->width,
                          coded->height, (long long)source->request.max_pixels);
    *decoder = avcodec_find_decoder(coded->codec_id);
    if (!*decoder)
        return fn_av_fail(why, FN_EUNSUPPORTED, "there is no decoder for its video (%s)",
                          avcodec_get_name(coded->codec_id));
    const uint8_t *matrix = av_stream_get_side_data(source->stream, AV_PKT_DATA_DISPLAYMATRIX, NULL);
    source->orientation = fn_av_orientation((const int32_t *)(const void *)matrix);
    return FN_OK;
}

static int open_decoder(fn_av_source *source, const AVCodec *decoder, char *why) {
    const int is_file = source->request.kind == FN_AV_FILE;
    source->packet = av_packet_alloc();
    source->frame = av_frame_alloc();
    AVCodecContext *codec = source->codec = avcodec_alloc_context3(decoder);
    if (!source->packet || !source->frame || !codec)
        return fn_av_fail(why, FN_ENOMEM, "out of memory");
    int rc = avcodec_parameters_to_context(codec, source->stream->codecpar);
    codec->pkt_timebase = source->stream->time_base;
    codec->max_pixels = source->request.max_pixels;
    codec->thread_count = source->request.threads ? source->request.threads : is_file ? 2 : 1;
    codec->thread_type = is_file ? FF_THREAD_FRAME | FF_THREAD_SLICE : FF_THREAD_SLICE; // frames at once
    if (rc == 0)
        rc = avcodec_open2(codec, decoder, NULL);
    if (rc < 0)
        return fn_av_fail_with(why, rc, "its video cannot be decoded");
    return FN_OK;
}

// MP4, Matroska and AVI count their length from 0, whenever the first of their streams begins; where FFmpeg
// measures it, it does so from there. A single stream may begin later: sound first, pictures then.
static double find_origin(const AVFormatContext *format) {
    if (av_match_list(format->iformat->name, "mov,matroska,avi", ',') || format->start_time == AV_NOPTS_VALUE)
        return 0;
    return (double)format->start_time / AV_TIME_BASE;
}

static void describe(fn_av_about *about, const fn_av_source *source) {
    AVFormatContext *format = source->format;
    const char *container = format->iformat->name;
    const double fps = av_q2d(av_guess_frame_rate(format, source->stream, NULL));
    const int is_stream = source->request.kind == FN_AV_STREAM;
    about->fps = fps > 0 && fps <= MAX_FPS ? fps : 0;
    const int is_list = av_match_list(container, "hls", ',') > 0;
    const int has_end = format->duration > 0 || (!is_list && format->pb && avio_size(format->pb) > 0);
    about->is_live = source->request.kind == FN_AV_CAMERA ||
                     (is_stream && (!has_end || av_match_list(container, "rtsp,rtp,sdp", ',')));
    about->comes_in_bursts = about->is_live && is_list;
    if (!about->is_live && format->duration > 0)
        about->duration_s = (double)format->duration / AV_TIME_BASE;
    if (source->stream->nb_frames > 0)
        about->n_frames = (uint64_t)source->stream->nb_frames;
    snprintf(about->codec, sizeof about->codec, "%s", avcodec_get_name(source->codec->codec_id));
}

int fn_av_open(fn_av_source **out, const fn_av_request *request, fn_av_about *about, char *why) {
    static int (*const openers[])(fn_av_source *, char *) = {
        [FN_AV_FILE] = open_file, [FN_AV_CAMERA] = open_camera, [FN_AV_STREAM] = open_stream};
    const AVCodec *decoder = NULL;
    *out = NULL;
    memset(about, 0, sizeof *about);
    fn_av_silence();
    fn_av_source *source = av_mallocz(sizeof *source);
    if (!source)
        return fn_av_fail(why, FN_ENOMEM, "out of memory");
    source->request = *request;
    source->n_too_large = fn_av_n_too_large();
    int rc = openers[request->kind](source, why);
    if (rc == FN_OK && request->kind != FN_AV_CAMERA) { // a camera has said everything
        const int averror = look_into_streams(source);
        if ((rc = fn_av_is_over(request, why)) == FN_OK && averror < 0)
            rc = failed(request, averror, why);
    }
    if (rc == FN_OK)
        rc = find_stream(source, &decoder, why);
    if (rc == FN_OK)
        rc = open_decoder(source, decoder, why);
    if (rc < 0) {
        fn_av_close(source);
        return rc;
    }
    source->origin_s = find_origin(source->format);
    describe(about, source);
    *out = source;
    return FN_OK;
}

void fn_av_close(fn_av_source *source) {
    if (!source)
        return;
    avcodec_free_context(&source->codec);
    av_packet_free(&source->packet);
    av_frame_free(&source->frame);
    fn_av_converter_clear(&source->converter);
    avformat_close_input(&source->format);
    fn_av_file_close(&source->io);
    av_free(source);
}
