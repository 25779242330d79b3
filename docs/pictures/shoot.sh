#!/usr/bin/env bash
# The pictures of pages in this folder, anew: bash docs/pictures/shoot.sh RUN_FOLDER SUITE_FOLDER COMPARE_FOLDER
# RUN_FOLDER: a run of a workload with intents (heckle run --workload counter). SUITE_FOLDER: a suite after some nights.
# COMPARE_FOLDER: heckle compare --preset state --pairs 8. A folder given as - leaves out its pictures.
# Needs chromium, and python3 with Pillow (pip install pillow), which makes them small.
set -euo pipefail
[ $# -eq 3 ] || { sed -n '2,5s/^# //p' "$0"; exit 64; }
at() { [ "$1" = - ] || realpath -e "$1"; }
run=$(at "$1")
suite=$(at "$2")
compare=$(at "$3")
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# shoot NAME PAGE WIDTH,HEIGHT [flag of chromium]
shoot() {
  timeout 60 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --virtual-time-budget=8000 --window-size="$3" ${4:+"$4"} \
    --user-data-dir="$tmp/profile" --screenshot="$tmp/shot.png" "file://$2" 2>/dev/null
  python3 -c 'import sys; from PIL import Image; Image.open(sys.argv[1]).convert("RGB").quantize(96).save(sys.argv[2], optimize=True)' \
    "$tmp/shot.png" "$1.png"
}

# The page from one heading to the next; its policy would refuse the style that hides the rest.
section() {
  sed -e 's/<meta http-equiv="Content-Security-Policy"[^>]*>//' \
    -e "s|</body>|<style>body > :not(#$2):not(#$2 ~ *) {display: none !important}</style></body>|" "$1" > "$tmp/section.html"
}

if [ -n "$run" ]; then
  shoot report-light "$run/report.html" 1180,1500
  shoot report-dark "$run/report.html" 1180,1500 --blink-settings=preferredColorScheme=0
  section "$run/report.html" fairness
  shoot report-fairness "$tmp/section.html" 1180,980
fi
if [ -n "$suite" ]; then
  shoot trend "$suite/trend.html" 1000,940
fi
if [ -n "$compare" ]; then
  shoot compare-page "$compare/compare.html" 1180,930
  cp "$compare/plots/state-size.png" compare-state-size.png
fi
ls -l ./*.png
