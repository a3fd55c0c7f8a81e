#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The camera's verb on a running picture of known truth: a pan over sample3, whose middle face is that of
# sample1's third. It is named and nobody else is; what is written, served, typed and broken off.
. "$(dirname "$0")/lib.sh"
with_models
for tool in convert ffmpeg; do
    command -v $tool >/dev/null || { echo "skipped: live, there is no $tool"; exit 0; }
done
pids=
finish() {
    for pid in $pids; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap finish EXIT
unset DISPLAY WAYLAND_DISPLAY SDL_VIDEODRIVER XMODIFIERS

# start WORD...: facenet in the background as $program, output in the files out and err.
start() {
    "$FACENET" "$@" >out 2>err </dev/null &
    program=$!
    pids="$pids $program"
}
# ends CODE
ends() {
    local code=0
    wait "$program" || code=$?
    pids=${pids% "$program"}
    [ $code = "$1" ] || fail "it ended with $code, expected $1"
}
has() {
    grep -qF -- "$2" "$1" 2>/dev/null
}
frames_of() {
    ffprobe -v error -count_frames -show_entries stream=nb_read_frames -of csv=p=0 "$1" | tr -d ,
}

# ---- a shot of 24 frames; faces 0 and 1 are in it all the time, face 2 comes from the right
mkdir shot
parts=
for i in $(seq 10 33); do
    parts="$parts ( mpr:photo -crop 1280x720+$((i * 14))+200 +repage -resize 640x360 -write shot/$i.jpg +delete )"
done
# shellcheck disable=SC2086
convert "$FACENET_DEMO/sample3.jpg" -write mpr:photo $parts -quality 92 shot/last.png
rm shot/last.png
[ "$(ls shot | wc -l)" = 24 ] || fail "the shot was not made"
expect 0 enroll --gallery g.db --name Ada --face 2 "$FACENET_DEMO/sample1.jpg"
live=(live --gallery g.db --source shot)

# ---- mistakes and what is missing: one line each
for words in "--out x.txt" "--mjpeg 65536" "--listen 127.0.0.1" "--crops c" "--enroll-key ab" "--enroll-key q" \
    "--camera-size 640" "--camera-size 0x480" "--camera-size 640x" "--fmr 1e-11" "--window --no-window" "word" \
    "--policy all" "--out - --events -" "--every 0" "--timeout 0" "--reconnects -1" "--fps nan"; do
    # shellcheck disable=SC2086
    expect 2 "${live[@]}" $words
    lines err 1
done
expect 4 live --gallery none.db --no-window --source shot
err_has none.db
expect 4 live --no-window --source shot # the user's own, which is not made without a window
expect 1 live -q --gallery g.db --source shot
err_has "no display: use --out, --mjpeg or --no-window"
if [ ! -e /dev/video0 ]; then
    expect 1 live --gallery g.db --no-window
    err_has "no camera was found"
    lines err 1
fi
: >empty.mp4
expect 1 live --gallery g.db --no-window --source empty.mp4
lines err 1
expect 1 live -q --gallery g.db --source shot --out no/folder/x.mp4
lines err 1
expect 1 live -q --gallery g.db --no-window --source shot --events /dev/full
lines err 1

# ---- names: Ada once, the others unknown, everybody leaves
expect 0 "${live[@]}" --no-window
err_has "parameters"
err_has "1 person is known: Ada"
equal "$(cut -f2,4 out | grep -c "^entered	Ada$")" 1
equal "$(cut -f2,4 out | grep -c "^left	Ada$")" 1
equal "$(cut -f2 out | sort | uniq -c | tr -s ' ' | tr '\n' '|')" " 3 entered| 3 left|"
equal "$(cut -f4 out | sort -u | tr '\n' '|')" "Ada|unknown|"
cp out first
expect 0 "${live[@]}" --no-window -q
cmp -s out first || fail "two runs over the same frames differ"
lines err 0
expect 0 "${live[@]}" --no-window --every 3
equal "$(cut -f4 out | sort -u | tr '\n' '|')" "Ada|unknown|"
expect 0 "${live[@]}" --no-window --json
equal "$(grep -c '"event":"entered".*"name":"Ada","decision":"known"' out)" 1
equal "$(grep -c '"event":"left".*"name":null,"decision":"unknown".*"frames":' out)" 2

# ---- what is written
expect 0 "${live[@]}" --out marked.mp4 --events events.jsonl --crops crops
lines out 0
equal "$(stat -c %a events.jsonl)" 600
lines events.jsonl 6
[ "$(ls crops | wc -l)" = 3 ] || fail "not one crop for each face"
crop=$(sed -n 's/.*"event":"left".*"name":"Ada".*"crop":"\([^"]*\)".*/\1/p; s/.*"name":"Ada".*"event":"left".*"crop":"\([^"]*\)".*/\1/p' events.jsonl)
expect 0 identify --gallery g.db --min-face 20 "$crop"
equal "$(field 1 3)" Ada
equal "$(frames_of marked.mp4)" 24
expect 0 live -q --gallery g.db --source marked.mp4 --out frames/ --events events.jsonl
lines events.jsonl 12
equal "$(ls frames | head -1)-$(ls frames | tail -1)" 000001.jpg-000024.jpg
expect 0 "${live[@]}" --out frames # a folder that is there: its numbers go on
equal "$(ls frames | tail -1)" 000048.jpg
equal "$(stat -c %a frames/000048.jpg crops/*.jpg | sort -u)" 600
# A number that is none is no reason to begin again at the first.
mkdir odd
cp shot/10.jpg odd/000001.jpg
cp shot/10.jpg odd/99999999999999999999999.jpg
expect 0 "${live[@]}" --out odd
cmp -s odd/000001.jpg shot/10.jpg || fail "a picture that was there is written over"
[ -e odd/000025.jpg ] || fail "the numbers do not go on"
# The source and what is written are two things.
cp marked.mp4 own.mp4
for written in "--out own.mp4" "--out ./own.mp4" "--events own.mp4"; do
    # shellcheck disable=SC2086
    expect 2 live -q --gallery g.db --source own.mp4 --no-window $written
    err_has "is the source itself"
done
cmp -s marked.mp4 own.mp4 || fail "the source was written over"
cp g.db before.db
expect 2 "${live[@]}" --no-window --events g.db
err_has "is the gallery"
cmp -s g.db before.db || fail "the gallery was written to"
expect 2 "${live[@]}" --out twice.mp4 --events twice.mp4
err_has "twice"
# After a power cut in the middle of a line the next one begins on its own.
printf '{"event":"ente' >torn.jsonl
expect 0 "${live[@]}" --no-window --events torn.jsonl
lines torn.jsonl 7
equal "$(sed -n 2p torn.jsonl | cut -c1-9)" '{"event":'
expect 0 "${live[@]}" --out -
equal "$(head -c 4 out | od -An -tx1 | tr -d ' ')" 1a45dfa3
"$FACENET" live -q --gallery g.db --no-window --source - <out >piped || fail "what it writes to a pipe it cannot read from one"
equal "$(cut -f2,4 piped | grep -c '^entered	Ada$')" 1
expect 0 "${live[@]}" --no-window --events -
lines out 6
# Frames of another size are fitted into the first one's.
cp -r shot sizes
convert shot/33.jpg -resize 320x320! sizes/99.jpg
expect 0 live --gallery g.db --source sizes --out sizes.mp4
err_has "fitted into 640 x 360"
equal "$(frames_of sizes.mp4)" 25
# What was recorded is kept, whatever ends it: here that nobody reads the events, and that a pipe falls silent.
("$FACENET" "${live[@]}" -q --loop --out kept.mp4 --events - 2>/dev/null || echo $? >pipe_code) | head -c 100 >/dev/null
equal "$(cat pipe_code)" 1
[ "$(frames_of kept.mp4)" -gt 0 ] || fail "the recording is gone"
ffmpeg -v error -i marked.mp4 -c copy whole.mkv
mkfifo silent
(cat whole.mkv; exec sleep 60) >silent &
pids="$pids $!"
expect 1 live -q --gallery g.db --source silent --timeout 2 --out kept2.mp4
err_has "in time"
[ "$(frames_of kept2.mp4)" -gt 10 ] || fail "the recording is gone"
# Who reads may leave.
("$FACENET" "${live[@]}" -q --loop --out - 2>pipe_err || echo $? >pipe_code) | head -c 100 >/dev/null
equal "$(cat pipe_code)" 1
equal "$(wc -l <pipe_err)" 1

# ---- signals: whole files
start "${live[@]}" --loop --out term.mp4 --events term.jsonl
until_true has term.jsonl '"name":"Ada"' || fail "nobody came"
[ ! -e term.mp4 ] || fail "the file has its name before it is whole"
kill -TERM "$program"
ends 0
[ "$(frames_of term.mp4)" -gt 3 ] || fail "the video is not whole"
equal "$(grep -c '"event":"left".*Ada\|Ada.*"event":"left"' term.jsonl)" 1
[ -z "$(ls -A | grep -E '\.mp4\.|\.facenet-part-')" ] || fail "something half-written stayed: $(ls -A)"
# A signal that is repeated at once is one wish.
start "${live[@]}" --loop --out term2.mp4 --events term2.jsonl
until_true has term2.jsonl '"name":"Ada"' || fail "nobody came"
kill -INT "$program"
kill -TERM "$program" 2>/dev/null || true
sleep 0.05
kill -INT "$program" 2>/dev/null || true
ends 0
[ "$(frames_of term2.mp4)" -gt 3 ] || fail "the video is not whole"

# ---- the gallery is another program's too: whoever is renamed, removed, enrolled
cp g.db shared.db
start live --gallery shared.db --no-window --source shot --loop --policy newest --events shared.jsonl
until_true has shared.jsonl '"name":"Ada"' || fail "Ada is not seen"
expect 0 people rename --gallery shared.db Ada Eve
until_true has shared.jsonl '"name":"Eve"' || fail "another name is not known"
expect 0 people remove --yes --gallery shared.db Eve
expect 0 enroll --gallery shared.db --name Joan --face 2 "$FACENET_DEMO/sample1.jpg"
until_true has shared.jsonl '"name":"Joan"' || fail "who was enrolled meanwhile is not known"
kill -TERM "$program"
ends 0
n=$(grep -n '"name":"Joan"' shared.jsonl | head -1 | cut -d: -f1)
! tail -n +"$n" shared.jsonl | grep -q '"event":"entered".*"name":"\(Ada\|Eve\)"' || fail "who was removed is still named"

# ---- a browser, and a source that is lost: one facenet serves what another watches
serve() {
    "$FACENET" "${live[@]}" --loop --mjpeg "$1" >/dev/null 2>served </dev/null &
    server=$!
    pids="$pids $server"
    until_true has served "look at http://127.0.0.1:" || fail "it does not serve: $(cat served)"
    url=$(sed -n 's/.*look at //p' served)
}
stop_server() {
    kill -INT $server
    wait $server || fail "SIGINT ended it with $?"
    pids=${pids/ $server/}
}
get() {
    exec 9<>"/dev/tcp/127.0.0.1/$port"
    printf 'GET /%s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nConnection: close\r\n\r\n' "$1" "$port" >&9
    timeout 10 cat <&9 >got
    exec 9>&-
}
is_served() {
    get frame.jpg && grep -qa 'image/jpeg' got
}
serve 0
port=${url#http://127.0.0.1:}
port=${port%/}
get ''
has got "<!doctype html>" || fail "there is no page"
until_true is_served || fail "there is no picture"
expect 1 "${live[@]}" -q --mjpeg "$port"
err_has "in use"
expect 2 "${live[@]}" -q --mjpeg 0 --listen nowhere

start live --gallery g.db --no-window --json --source "http://user:secret@127.0.0.1:$port/stream?pwd=secret" --timeout 5 \
    --reconnects 20
until_true has out Ada || fail "the stream's face is not named"
stop_server
until_true has err "trying again" || fail "a lost source is not told"
serve "$port"
until_true has err "it is back" || fail "the source did not come back"
kill -TERM "$program"
ends 0
! grep -q secret err out || fail "the password is shown"
has out '/stream?..."' || fail "the source is not told"
stop_server

# ---- the window
for tool in Xvfb setxkbmap xdotool; do
    command -v $tool >/dev/null || { echo "skipped: live's window, there is no $tool"; exit 0; }
done
mkfifo display_number
Xvfb -displayfd 3 -screen 0 1024x768x24 -nolisten tcp -noreset 3>display_number >/dev/null 2>xvfb_errors &
pids="$pids $!"
read -r -t 20 number <display_number || { echo "skipped: live's window, Xvfb does not start: $(tail -1 xvfb_errors)"; exit 0; }
export DISPLAY=:$number SDL_RENDER_DRIVER=software
export ASAN_OPTIONS=detect_leaks=0 # what D-Bus and graphics drivers keep until the end is not ours to free
setxkbmap -layout de

shows() {
    xdotool search --onlyvisible --name "$1 - facenet" >ids 2>/dev/null
}
focused() {
    [ "$(xdotool getwindowfocus 2>/dev/null)" = "$id" ]
}
# The window has to be found again where it was made anew before it was shown.
is_ready() {
    shows "$source" && id=$(head -1 ids) && xdotool windowmove "$id" 0 0 2>/dev/null &&
        xdotool windowfocus "$id" 2>/dev/null && focused # there is no window manager to do it
}
open() {
    start live "$@"
    until_true is_ready || fail "there is no window that has the keyboard"
}
sees() {
    grep -q "\"event\":\"$1\".*\"name\":\"$2\"" window.jsonl 2>/dev/null
}
is_called() {
    [ "$(xdotool getwindowname "$id" 2>/dev/null)" = "$1 - facenet" ]
}
# types X Y TEXT KEY: a name for the face there, each step once the one before was taken.
# A click is repeated: where the picture begins again, faces are new and count only after a few sightings.
types() {
    local tries=0
    until is_called "Name:  - $source"; do
        [ $((tries++)) -lt 20 ] || fail "a click at $1 $2 hits no face"
        xdotool mousemove "$1" "$2" click 1
        sleep 2
    done
    LC_ALL=C.UTF-8 xdotool type --delay 60 "$3"
    until_true is_called "Name: $3 - $source" || fail "typed is $(xdotool getwindowname "$id"), not $3"
    xdotool key "$4"
    until_true is_called "$source" || fail "$4 does not end the typing"
}

# One frame, again and again, so that it is known where the faces are: the left one gets a name.
mkdir still
cp shot/10.jpg still/
source=still
cp g.db window.db
expect 0 detect --json "still/10.jpg"
click=$(sed 's/.*"faces":\[{[^}]*"box":{"x":\([0-9.]*\),"y":\([0-9.]*\).*/\1 \2/' out | awk '{printf "%d %d", $1 + 30, $2 + 30}')
ada=$("$FACENET" identify -q --json --gallery g.db still/10.jpg | grep -o '"box":{"x":[0-9.]*,"y":[0-9.]*[^}]*},[^{]*"decision":"known"' | sed 's/"box":{"x":\([0-9.]*\),"y":\([0-9.]*\).*/\1 \2/' | awk '{printf "%d %d", $1 + 30, $2 + 30}')
[ -n "$ada" ] || fail "Ada's place is not found"
mirrored="$((640 - ${click% *})) ${click#* }"
for i in $(seq 101 400); do ln still/10.jpg still/$i.jpg; done # long enough for a name on a busy machine
open --gallery window.db --source still --loop --events window.jsonl --keep-crops
until_true sees entered Ada || fail "Ada is not seen"
# In a mirror the face is on the other side, where without one there is nobody.
xdotool key f
xdotool key m
xdotool key e
sleep 0.5
# shellcheck disable=SC2086
types $mirrored unknown Return
until_true has err 'kept for decisions' || fail "a word of decisions became a name"
xdotool key m
sleep 0.5
# shellcheck disable=SC2086
types $click never Escape
# shellcheck disable=SC2086
types $click 'Zo qö' Return
until_true has err 'Zo qö is enrolled' || fail "the face is not enrolled"
until_true sees named "Zo qö" || fail "who was enrolled is not known"
kill -0 "$program" 2>/dev/null || fail "a letter of a name ended it"
# Who is known already does not become two people.
# shellcheck disable=SC2086
types $ada Somebody Return
until_true has err 'this is Ada' || fail "a known face gets a second name"
before=$(date +%s)
xdotool key q
ends 0
[ $(($(date +%s) - before)) -le 5 ] || fail "q took more than 5 seconds"
expect 0 people list --gallery window.db
equal "$(cut -f1,2 out | tr '\t\n' ':|')" "Ada:1|Zo qö:1|"
expect 0 people show --gallery window.db --json "Zo qö"
out_has '"crop":true'
out_has '"path":"still"'

# Without a gallery there is one to begin with; Ctrl+Q ends.
source=shot
open --source shot --loop
until_true has err "nobody is enrolled" || fail "it is not said that nobody is known"
xdotool key ctrl+q
ends 0
equal "$(stat -c %a "$XDG_DATA_HOME/facenet/gallery.db")" 600
