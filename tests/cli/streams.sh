#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Names over the wire: a clip of known truth, and the shared one at 320 pixels, served on the loopback interface
# by RTSP (GStreamer's server) and as MJPEG over HTTP (ffmpeg), watched by live and recognize-video.
. "$(dirname "$0")/lib.sh"
with_models
command -v ffmpeg >/dev/null || { echo "skipped: streams, there is no ffmpeg"; exit 0; }
# Each kind of server is watched in a shell and a folder of its own, which ends what it started.
pids=
finish() {
    for pid in $pids; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
}
stop() {
    kill "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
    pids=${pids/ $1/}
}

# serve_rtsp CLIP, serve_mjpeg CLIP: a server as $server, its address in $url.
serve_rtsp() {
    "$RTSP_SERVER" "$1" >address 2>server_err &
    server=$!
    pids="$pids $server"
    until_true grep -q rtsp address || fail "no RTSP server: $(cat server_err)"
    url=$(cat address)
}
# ffmpeg serves one client and wants to be told the port; another try where that one is taken.
serve_mjpeg() {
    for _ in 1 2 3 4 5; do
        local port=$((20000 + RANDOM % 10000))
        ffmpeg -nostdin -v error -re -i "$1" -an -c:v mjpeg -q:v 3 -f mpjpeg -listen 1 "http://127.0.0.1:$port" \
            2>server_err &
        server=$!
        pids="$pids $server"
        url=http://127.0.0.1:$port/clip.mjpg
        # It opens its port before its first frame; the port shows in the kernel's table, in hexadecimal.
        until_true is_listening_or_gone $port
        kill -0 $server 2>/dev/null && return
        stop $server
    done
    fail "ffmpeg serves nowhere: $(cat server_err)"
}
is_listening_or_gone() {
    ! kill -0 $server 2>/dev/null || grep -q ":$(printf %04X "$1") 00000000:0000 0A" /proc/net/tcp
}
servers=serve_mjpeg
if [ -x "${RTSP_SERVER:-}" ]; then
    servers="serve_rtsp serve_mjpeg"
else
    echo "skipped: RTSP, this build has no GStreamer RTSP server"
fi

# names FILE: everybody who was said to be somebody, from the lines of live.
names() {
    cut -f4 "$1" | grep -v '^unknown$' | sort -u | tr '\n' '|'
}
has_left() {
    cut -f2,4 "$1" | grep -q "^left	$2$"
}
has_ended() {
    grep -qE 'trying again|given up' "$1"
}

# ---- a clip of known truth: face 1 of sample3 (face 2 of sample1), then somebody else; the shared one, small
ffmpeg -v error -loop 1 -r 25 -i "$FACENET_DEMO/sample3.jpg" -t 3 -pix_fmt yuv420p -c:v libx264 -preset veryfast \
    -vf "crop=480:480:830+40*t:130,scale=320:320,setsar=1" a.ts
ffmpeg -v error -loop 1 -r 25 -i "$FACENET_DEMO/sample2.jpg" -t 2 -pix_fmt yuv420p -c:v libx264 -preset veryfast \
    -vf "crop=400:400:200:80,scale=320:320,setsar=1" b.ts
printf "file '%s.ts'\n" a b >list
ffmpeg -v error -f concat -safe 0 -i list -c copy clip.mp4
expect 0 enroll --gallery g.db --name Ada --face 2 "$FACENET_DEMO/sample1.jpg"
shared=$FACENET_SHARED/data/video/short_hamilton_clip.mp4
if [ -e "$shared" ]; then
    expect 0 enroll --gallery known.db "$FACENET_SHARED/data/photos/known"
    ffmpeg -v error -i "$shared" -an -vf scale=320:-2 -c:v libx264 -preset veryfast small.mp4
else
    echo "skipped: streams of the shared clip, there is none"
fi

# live SERVE: Ada comes and goes, the other one stays until the stream ends, which is told.
live() {
    $1 ../clip.mp4
    "$FACENET" live --gallery ../g.db --no-window --source "$url" --timeout 20 >seen 2>err </dev/null &
    local live=$!
    pids="$pids $live"
    until_true has_left seen Ada || fail "$1: Ada did not come and go: $(cat seen)"
    until_true grep -q "	unknown	" seen || fail "$1: the other one did not come: $(cat seen)"
    stop $server
    until_true has_ended err || fail "$1: the end of the stream is not told"
    kill -TERM $live
    wait $live || fail "$1: SIGTERM ended it with $?"
    pids=${pids/ $live/}
    has_left seen unknown || fail "$1: who is on view at the end does not leave: $(cat seen)"
    equal "$(names seen)" "Ada|"
}
# look_through SERVE CLIP GALLERY WORD...: the timeline of what is served, in out. How a server ends a stream
# differs: that it breaks off is told (1).
look_through() {
    local serve=$1 clip=$2 gallery=$3 code=0
    shift 3
    $serve "$clip"
    "$FACENET" recognize-video --gallery "$gallery" --timeout 20 "$@" "$url" >out 2>err || code=$?
    stop $server
    [ $code -le 1 ] || fail "$serve: recognize-video ended with $code"
}
watch() {
    trap finish EXIT
    mkdir "$1"
    cd "$1"
    live "$1"
    look_through "$1" ../clip.mp4 ../g.db
    equal "$(cut -f1 out | tr '\n' '|')" "Ada|unknown-1|"
    [ -e "$shared" ] || return 0
    look_through "$1" ../small.mp4 ../known.db --json # one name, no other, no track that changes it
    equal "$(grep -oE '"name":"[^"]*"' out | sort -u | tr '\n' '|')" '"name":"lin-manuel-miranda"|'
    ! grep -oE '"switches":[0-9]+' out | grep -vq ':0$' || fail "$1: a track changed its name"
}
watchers=
for serve in $servers; do
    (watch "$serve") &
    watchers="$watchers $!"
done
code=0
for pid in $watchers; do
    wait "$pid" || code=1
done
exit $code
