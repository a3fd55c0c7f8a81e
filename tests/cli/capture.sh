#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Capture from clips made of a demo photograph: what is kept, what is refused and why, where it goes.
. "$(dirname "$0")/lib.sh"
with_models
unset DISPLAY WAYLAND_DISPLAY SDL_VIDEODRIVER
export ASAN_OPTIONS=detect_leaks=0 # what graphics drivers keep until the end is not ours to free
photos=$FACENET_DEMO
display='' program='' # processes that run
finish() {
    for pid in $program $display; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap finish EXIT
# files N: there are N crops of One, or more.
files() {
    [ "$(find images/One -name 'One*.jpg' 2>/dev/null | wc -l)" -ge "$1" ]
}
# whole FOLDER: every file in it is a complete crop that is its owner's alone.
whole() {
    for file in "$1"/*; do
        equal "$(stat -c %a "$file")" 600
        [ "$(tail -c 2 "$file" | od -An -tx1)" = " ff d9" ] || fail "$file is not complete"
    done
}

# ---- names
for name in a/b .. . .hidden "" " a" "a " $'a\nb' $'\x01' $'\xff' unknown "$(printf 'x%.0s' $(seq 201))"; do
    expect 2 capture --no-window "$name"
    err_has "cannot be a name: "
    lines err 1
done
expect 2 capture
err_has "expected NAME"
expect 2 capture --no-window A B
expect 2 capture --template passport A
expect 2 capture --count 0 A
expect 2 capture --size 16 A
[ ! -e images ] || fail "a refused name made a folder"

# ---- sources and places that are not there
expect 1 capture --no-window --source nothing.mp4 A
err_has nothing.mp4
[ ! -e images/A ] || fail "an empty folder stays"
expect 1 capture --no-window --source /dev/video97 A
err_has camera
expect 1 capture --no-window --out-dir /dev/null/x --source "$photos/sample3.jpg" A
err_has /dev/null/x
expect 1 capture --source "$photos/sample3.jpg" A
err_has "no display: use --no-window"
mkfifo quiet
exec 9<>quiet
code=0
timeout 120 "$FACENET" capture --no-window --timeout 1 --source quiet A >out 2>err || code=$?
equal $code 1
exec 9>&-

# ---- pictures that give nothing, or one crop only
command -v convert >/dev/null || { echo "skipped: capture, there is no convert"; exit 0; }
convert "$photos/sample3.jpg" -crop 800x460+960+190 +repage two.jpg
convert "$photos/sample3.jpg" -crop 400x400+966+170 +repage -bordercolor '#808890' -border 120 one.jpg
convert -size 640x480 xc:gray empty.jpg
convert one.jpg -blur 0x9 blurred.jpg
convert one.jpg -level 0,400% dark.jpg
for refusal in "two:more than one person" "empty:nobody in the picture" "blurred:blurred" "dark:too dark"; do
    expect 1 capture --no-window --source "${refusal%%:*}.jpg" --loop --patience 1 A
    lines out 0
    err_has "0 of 50 kept in images/A: nothing new for 1 seconds"
    err_has "${refusal#*:}"
done
expect 1 capture --no-window --source one.jpg --loop --patience 2 Still
lines out 1
err_has "like one that is kept"
expect 1 capture --no-window --source one.jpg --loop --patience 2 Still
lines out 0
expect 0 capture --no-window --source one.jpg --loop --count 1 --every 1 --template arcface-112 --size 224 --json B
out_has '"path":"images/B/B0.jpg"'
equal "$(identify -format %wx%h images/B/B0.jpg)" 224x224

# A disk that takes no whole crop: nothing half written stays.
code=0
(trap '' XFSZ; ulimit -f 2; exec "$FACENET" capture --no-window --source one.jpg --loop Full) >out 2>err || code=$?
equal $code 1
err_has "images/Full: a picture cannot be written"
[ ! -e images/Full ] || fail "left behind: $(ls -A images/Full)"

# The name is asked for where somebody can answer.
if command -v script >/dev/null; then
    printf 'Grace H\n' | script -qec "$FACENET capture --no-window --source one.jpg --loop --count 1" /dev/null >out 2>err ||
        fail "it does not take a name from the terminal"
    [ -s "images/Grace H/Grace H0.jpg" ] || fail "no crop under the name typed"
fi

# ---- a clip: the photograph tilted, squeezed and lit in other ways
command -v ffmpeg >/dev/null || { echo "skipped: capture from clips, there is no ffmpeg"; exit 0; }
ffmpeg -v error -loop 1 -r 25 -i "$photos/sample3.jpg" -t 18 -c:v mpeg4 -q:v 3 -pix_fmt yuv420p -vf "
    crop=400:400:966:170, scale=380:380, pad=640:640:130:130:0x808890,
    perspective=sense=destination:eval=frame
        :x0=100*(1+sin(on/17)):y0=90*(1+sin(on/23)):x1=W-100*(1+sin(on/19)):y1=90*(1+sin(on/31))
        :x2=100*(1+sin(on/29)):y2=H-90*(1+sin(on/13)):x3=W-100*(1+sin(on/37)):y3=H-90*(1+sin(on/41)),
    rotate='0.15*sin(t*0.9)':c=0x808890, eq=eval=frame:brightness='0.1*sin(t*1.3)':contrast='1+0.2*sin(t*0.7)',
    crop=640:480:0:'80+20*cos(t*1.7)'" one.avi 2>err || { echo "skipped: capture from clips, ffmpeg makes none: $(tail -1 err)"; exit 0; }

# A screen of the test's own, where there is one.
why_no_window= screen=
if command -v Xvfb >/dev/null; then
    mkfifo display_number
    Xvfb -displayfd 3 -screen 0 1024x768x24 -nolisten tcp -noreset 3>display_number >/dev/null 2>xvfb_errors &
    display=$!
    if read -r -t 20 number <display_number; then
        screen=:$number
        export XDG_RUNTIME_DIR=$work SDL_RENDER_DRIVER=software
    else
        why_no_window="Xvfb does not start"
    fi
else
    why_no_window="there is no Xvfb"
fi

# Fifty crops, with a window where there can be one, as a user has it.
if [ -n "$screen" ]; then
    LC_ALL=C.UTF-8 DISPLAY=$screen expect 0 capture --source one.avi --loop --auto-enroll One
else
    expect 0 capture --no-window --source one.avi --loop --auto-enroll One
fi
lines out 50
err_has "50 of 50 kept in images/One"
equal "$(cut -f1 out | tail -1)" images/One/One49.jpg
equal "$(find images/One -type f | wc -l)" 50
equal "$(stat -c %a images)$(stat -c %a images/One)" 700700
whole images/One
equal "$(identify -format '%wx%h\n' images/One/*.jpg | sort -u)" 200x200

# Found again, the centres of the eyes (landmarks 36-41 and 42-47) lie at (70, 70) and (130, 70).
"$FACENET" detect -q --json --landmarks images/One | sed -n 's/.*"landmarks":\[\[//; s/\]\].*//; s/[][,]\{1,\}/ /gp' >landmarks
[ "$(wc -l <landmarks)" = 50 ] || fail "faces are found again in $(wc -l <landmarks) of 50 crops"
awk '{ for (eye = 0; eye < 2; eye++) {
           x = y = 0
           for (k = 36 + 6 * eye; k < 42 + 6 * eye; k++) { x += $(2 * k + 1) / 6; y += $(2 * k + 2) / 6 }
           off = sqrt((x - 70 - 60 * eye) ^ 2 + (y - 70) ^ 2)
           sum += off / 2; worst = off > worst ? off : worst } }
     END { print "mean", sum / NR, "worst", worst; exit sum / NR > 3 || worst > 10 }' landmarks >out ||
    fail "eyes are elsewhere than the template has them"

# No two are alike: root mean square difference of the middle, at mean 0 and deviation 1.
for file in images/One/*.jpg; do
    convert "$file" -gravity center -crop 112x144+0+8 +repage -colorspace Gray -resize '16x16!' -depth 8 gray:- | od -An -v -tu1 | tr -d '\n'
    echo
done >grey
awk '{ mean = 0; squares = 0
       for (i = 1; i <= 256; i++) { mean += $i / 256; squares += $i * $i / 256 }
       deviation = sqrt(squares - mean * mean)
       for (i = 1; i <= 256; i++) v[NR, i] = ($i - mean) / deviation }
     END { for (a = 1; a <= NR; a++) for (b = 1; b < a; b++) {
             sum = 0; for (i = 1; i <= 256; i++) sum += (v[a, i] - v[b, i]) ^ 2
             if (sqrt(sum / 256) < 0.08) { print a, b, sqrt(sum / 256); bad = 1 } }
           exit bad }' grey >out || fail "crops are nearly the same"

# The same person on another photograph is known now, the others are not; the crops are enrolled already.
expect 0 identify --json "$photos/sample1.jpg"
equal "$(grep -o '"decision":"[a-z]*"' out | sort | uniq -c | tr -s ' ' | tr '\n' '|')" ' 1 "decision":"known"| 2 "decision":"unknown"|'
out_has '"One"'
mkdir again
for i in $(seq 10 29); do ln "$photos/sample1.jpg" again/$i.jpg 2>/dev/null || cp "$photos/sample1.jpg" again/$i.jpg; done
expect 0 live --no-window --source again
equal "$(cut -f2,4 out | sort | uniq -c | tr -s ' \t' ' ' | tr '\n' '|')" " 1 entered One| 2 entered unknown| 1 left One| 2 left unknown|"
expect 0 enroll --face largest --name One images/One/One7.jpg
equal "$(field 1 2)" "already there"

# Somebody else before the camera is not enrolled under the name.
ffmpeg -v error -loop 1 -r 25 -i "$photos/sample2.jpg" -t 4 -c:v mpeg4 -q:v 3 -pix_fmt yuv420p -vf "
    crop=400:400:790:150, scale=380:380, pad=640:640:130:130:0x808890,
    rotate='0.2*sin(t*2)':c=0x808890, crop=640:480:0:'80+20*cos(t*1.7)'" other.avi
ffmpeg -v error -i one.avi -t 4 -c copy first.avi
printf "file '%s.avi'\n" first other >list
ffmpeg -v error -f concat -safe 0 -i list -c copy duo.avi
expect 1 capture --no-window --source duo.avi --every 1 --count 400 --auto-enroll --gallery duo.db Duo
err_has "another person than before"
err_has "the video has ended"
n=$(wc -l <out)
[ "$n" -gt 5 ] || fail "hardly anything was kept"
awk -F'\t' '$3 > 4.1 { exit 1 }' out || fail "the other person was kept"
expect 0 identify --gallery duo.db --json "$photos/sample1.jpg"
out_has '"name":"Duo"'
expect 0 identify --gallery duo.db --json "$photos/sample2.jpg"
! grep -q '"decision":"known"' out || fail "the other person is known as the first"

# A stream that ends does not wait for ever: nothing new is nothing new.
port=$((20000 + RANDOM % 10000))
ffmpeg -nostdin -v error -re -i one.avi -t 2 -an -c:v mjpeg -q:v 3 -f mpjpeg -listen 1 "http://127.0.0.1:$port" 2>served &
program=$!
code=1
for _ in $(seq 50); do # until it listens
    "$FACENET" capture --no-window --source "http://127.0.0.1:$port/x.mjpg" --count 1000 --patience 4 Stream >out 2>err && code=0 || code=$?
    grep -q "kept in" err && break
    sleep 0.2
done
equal $code 1
err_has "nothing new for 4 seconds"
wait $program || true
program=

# Numbering goes on, also with a gap and a file of another kind; two at once take different numbers.
rm images/One/One3.jpg
echo none >images/One/One60.jpg
chmod 600 images/One/One60.jpg
expect 0 capture --no-window --source one.avi --loop --count 1 --every 1 One
equal "$(field 1 1)" images/One/One61.jpg
equal "$(cat images/One/One60.jpg)" none
rm -r images/One
"$FACENET" capture -q --no-window --source one.avi --loop --count 15 One >first 2>first_errors &
program=$!
expect 0 capture --no-window --source one.avi --loop --count 15 One
wait $program || fail "one of two captures of one name failed: $(cat first_errors)"
program=
equal "$(cat first out | cut -f1 | sort -u | wc -l)" 30
equal "$(find images/One -type f | wc -l)" 30

# Killed in the middle only whole crops are left, and the next run takes away the rest.
rm -r images/One
"$FACENET" capture -q --no-window --source one.avi --loop --every 1 --count 10000 One >/dev/null 2>&1 &
program=$!
until_true files 9 || fail "no crops to be killed among"
kill -9 $program
wait $program 2>/dev/null || true
program=
echo half >images/One/.facenet-part-abcdef
chmod 600 images/One/.facenet-part-abcdef
expect 0 capture --no-window --source one.avi --loop --count 1 One
[ -z "$(find images/One -name '.*' -type f)" ] || fail "what was left by a killed run stays"
whole images/One

# Ctrl+C ends it well.
rm -r images/One
"$FACENET" capture --no-window --source one.jpg --loop --patience 0 One >out 2>err &
program=$!
until_true files 1 || fail "no crop to be interrupted after"
kill -INT $program
code=0
wait $program || code=$?
program=
equal $code 0
err_has "1 of 50 kept in images/One"

# ---- the window
[ -z "$why_no_window" ] || { echo "skipped: the window of capture, $why_no_window"; exit 0; }
for tool in xdotool import; do
    command -v $tool >/dev/null || { echo "skipped: the window of capture, there is no $tool"; exit 0; }
done
export DISPLAY=$screen
# green: the bar at the bottom, which grows, is there.
shows_progress() {
    import -window "$id" png:shot.png 2>/dev/null &&
        [ "$(convert shot.png -format '%[fx:int(255*p{2,478}.r)],%[fx:int(255*p{2,478}.g)],%[fx:int(255*p{2,478}.b)]' info:)" = 52,201,107 ]
}
focused() {
    [ "$(xdotool getwindowfocus 2>/dev/null)" = "$id" ]
}
for key in q Escape; do
    rm -rf images/One
    LC_ALL=C.UTF-8 "$FACENET" capture --source one.avi --loop --policy newest One >out 2>err &
    program=$!
    if ! until_true xdotool search --onlyvisible --name 'facenet capture: One' >ids 2>/dev/null; then
        ! grep -q libsdl2 err || { echo "skipped: the window of capture, SDL2 is missing"; exit 0; }
        fail "there is no window"
    fi
    id=$(head -1 ids)
    until_true files 2 || fail "nothing is kept"
    until_true shows_progress || fail "the window does not show how far it is"
    xdotool windowfocus "$id"
    until_true focused || fail "the window does not get the keyboard"
    xdotool key $key
    code=0
    wait $program || code=$? # a hang is seen by the test's own limit
    program=
    equal $code 0
    err_has "of 50 kept in images/One"
done
