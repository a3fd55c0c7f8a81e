// SPDX-License-Identifier: Apache-2.0
//
// An RTSP server on the loopback interface for the tests: rtsp_server FILE.mp4 [PORT] (H.264) prints its
// address and serves the file, from its start to each client, until it is killed.
#include <gst/rtsp-server/rtsp-server.h>

#include <stdio.h>

int main(int argc, char **argv) {
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: rtsp_server FILE.mp4 [PORT]\n");
        return 2;
    }
    gst_init(NULL, NULL);
    GMainLoop *loop = g_main_loop_new(NULL, FALSE);
    GstRTSPServer *server = gst_rtsp_server_new();
    GstRTSPMediaFactory *factory = gst_rtsp_media_factory_new();
    GstRTSPMountPoints *mounts = gst_rtsp_server_get_mount_points(server);
    gchar *launch = g_strdup_printf("( filesrc location=\"%s\" ! qtdemux ! h264parse ! "
                                    "rtph264pay name=pay0 pt=96 config-interval=1 )",
                                    argv[1]);
    gst_rtsp_media_factory_set_launch(factory, launch);
    gst_rtsp_mount_points_add_factory(mounts, "/clip", factory);
    gst_rtsp_server_set_address(server, "127.0.0.1");
    gst_rtsp_server_set_service(server, argc > 2 ? argv[2] : "0"); // any free port
    if (gst_rtsp_server_attach(server, NULL) == 0) {
        fprintf(stderr, "rtsp_server: no port to listen on\n");
        return 1;
    }
    printf("rtsp://127.0.0.1:%d/clip\n", gst_rtsp_server_get_bound_port(server));
    fflush(stdout);
    g_main_loop_run(loop);
    return 0;
}
