#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The window on a display of its own (Xvfb): what it shows, and what keys, text and clicks become.
# Without the display or the tools that press keys, only what can be said without them.
set -eu
show=$1
work=$(mktemp -d)
display='' program='' # processes that run
finish() {
    for pid in $program $display; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap finish EXIT
cd "$work"
export LC_ALL=C.UTF-8 HOME=$work XDG_RUNTIME_DIR=$work
export ASAN_OPTIONS=detect_leaks=0 # what D-Bus and graphics drivers keep until the end is not ours to free
unset DISPLAY WAYLAND_DISPLAY SDL_VIDEODRIVER XMODIFIERS

fail() {
    printf 'window.sh: %s\n--- events\n%s\n--- errors\n%s\n' "$*" "$(cat events 2>/dev/null)" "$(cat errors 2>/dev/null)" >&2
    exit 1
}

# ---- no display, no SDL2
timeout 30 "$show" >events 2>errors && fail "it opened a window without a display"
grep -q 'no display: use --out, --mjpeg or --no-window' errors || fail "it does not say that there is no display"
[ "$(wc -l <errors)" = 1 ] || fail "more than one line about the display"
DISPLAY=:7654 timeout 30 "$show" >events 2>errors && fail "it opened a window on a display that is not there"
grep -Eq 'no display: use --out|libsdl2-2.0-0' errors || fail "it does not say that the display is not there"
if grep -q libsdl2-2.0-0 errors; then
    echo "skipped: window, SDL2 is missing"
    exit 0
fi
# A folder with a library of that name that is none stands for a system without SDL2.
mkdir none && echo none >none/libSDL2-2.0.so.0
LD_LIBRARY_PATH=$work/none DISPLAY=:7654 timeout 30 "$show" >events 2>errors && fail "it opened a window without SDL2"
grep -q 'install the package libsdl2-2.0-0' errors || fail "it does not say what to install"

for tool in Xvfb setxkbmap xdotool import convert; do
    command -v $tool >/dev/null || { echo "skipped: window, there is no $tool"; exit 0; }
done

# ---- a display
# Each look at something that takes its time to happen: up to 20 seconds.
until_true() {
    for _ in $(seq 200); do
        "$@" && return 0
        sleep 0.1
    done
    return 1
}
mkfifo display_number
Xvfb -displayfd 3 -screen 0 1024x768x24 -nolisten tcp -noreset 3>display_number >/dev/null 2>xvfb_errors &
display=$!
read -r -t 20 number <display_number || { echo "skipped: window, Xvfb does not start: $(tail -1 xvfb_errors)"; exit 0; }
export DISPLAY=:$number
setxkbmap -layout de # letters beyond ASCII have keys, so that xdotool need not change the keyboard meanwhile

has_line() {
    grep -qxF -- "$1" events
}
last_is() {
    [ "$(tail -1 events)" = "$1" ]
}
expect() {
    until_true has_line "$1" || fail "no event \"$1\""
}
# pixel X Y: of the screen, as "r,g,b".
pixel() {
    convert shot.png -format "%[fx:int(255*p{$1,$2}.r)],%[fx:int(255*p{$1,$2}.g)],%[fx:int(255*p{$1,$2}.b)]" info:
}
# looks X Y COLOUR: the screen shows it now.
looks() {
    import -window root png:shot.png 2>/dev/null && [ "$(pixel "$1" "$2")" = "$3" ]
}
# Four places inside the picture that lies at X0 Y0 and measures W H.
four_colours() {
    local x1=$(($1 + $3 / 4)) x2=$(($1 + $3 * 3 / 4)) y1=$(($2 + $4 / 4)) y2=$(($2 + $4 * 3 / 4))
    until_true looks $x1 $y1 255,0,0 || fail "top left is $(pixel $x1 $y1), not red"
    [ "$(pixel $x2 $y1)" = 0,255,0 ] || fail "top right is $(pixel $x2 $y1), not green"
    [ "$(pixel $x1 $y2)" = 0,0,255 ] || fail "low left is $(pixel $x1 $y2), not blue"
    [ "$(pixel $x2 $y2)" = 255,255,255 ] || fail "low right is $(pixel $x2 $y2), not white"
}
black() {
    [ "$(pixel "$1" "$2")" = 0,0,0 ] || fail "the ground at $1 $2 is $(pixel "$1" "$2"), not black"
}

focused() {
    [ "$(xdotool getwindowfocus 2>/dev/null)" = "$id" ]
}
open() {
    "$show" >events 2>errors &
    program=$!
    expect "shown 0"
    until_true xdotool search --onlyvisible --name 'four colours' >ids 2>/dev/null || fail "there is no window of that name"
    id=$(head -1 ids)
    xdotool windowmove "$id" 0 0
    xdotool windowfocus "$id" # there is no window manager to do it
    until_true focused || fail "the window does not get the keyboard"
}
ends() {
    code=0
    wait $program || code=$?
    program=
    [ $code = 0 ] || fail "the program ended with $code"
    has_line ended || fail "the program did not end as it should"
}

# First without a graphics card's way, which here is a slow imitation of one; that comes last.
export SDL_RENDER_DRIVER=software
open
four_colours 0 0 400 300
xdotool key a
expect "key 97"
xdotool key space Left Return
expect "key 32"
expect "key 1114112"
expect "key 13"
xdotool mousemove --window "$id" 100 60 click 1
expect "click 100 60 1"
xdotool mousemove --window "$id" 399 299 click 3
expect "click 399 299 3"

# Twice as wide: bars on both sides, clicks in them say nothing, clicks in the picture count in its pixels.
xdotool windowsize "$id" 800 300
expect "resized 800 300"
four_colours 200 0 400 300
black 100 150
black 700 150
xdotool mousemove --window "$id" 100 150 click 1
xdotool mousemove --window "$id" 300 150 click 2
expect "click 100 150 2"
[ "$(grep -c '^click' events)" = 3 ] || fail "a click beside the picture was told"
xdotool windowsize "$id" 800 600
expect "resized 800 600"
four_colours 0 0 800 600
xdotool mousemove --window "$id" 600 450 click 1
expect "click 300 225 1"

# Other pictures, in each format: portrait, in the middle.
for number in 1 2 3; do
    xdotool key n
    expect "shown $number"
    four_colours 250 0 300 600
    black 125 300
done
xdotool key n
expect "shown 4"
until_true looks 400 300 99,99,99 || fail "a grey picture is $(pixel 400 300)"

# Typing: keys are a text, q does not end, Backspace takes a whole character.
xdotool key t
xdotool type --delay 30 'qZo'
expect "text [qZo]"
xdotool key odiaeresis
expect "text [qZoö]"
xdotool key BackSpace
until_true last_is "text [qZo]" || fail "Backspace left $(tail -1 events)"
xdotool type --delay 30 'ä n'
expect "text [qZoä n]"
xdotool key Return
expect "entered [qZoä n]"
xdotool key y
xdotool key BackSpace
expect "text [Zo]"
xdotool key Escape
expect given-up
xdotool key b
expect "key 98"
[ "$(grep -c '^key' events)" -ge 8 ] || fail "keys were lost"
xdotool key r
until_true sh -c "xdotool getwindowname $id | grep -q 'Zoë 山田'" || fail "the window is called $(xdotool getwindowname "$id")"
xdotool key q
ends

# Signals reach the program as they would without a window.
open
kill -TERM $program
code=0
wait $program || code=$?
program=
[ $code = 143 ] || fail "SIGTERM ended it with $code"

# SDL2's own choice of a way. Ctrl+Q closes.
unset SDL_RENDER_DRIVER
open
four_colours 0 0 400 300
xdotool key ctrl+q
expect closed
ends
