#!/usr/bin/env bash
# The pictures of `heckle serve` in this folder, anew: bash docs/pictures/shoot-serve.sh ADDRESS
# ADDRESS: what heckle serve prints, such as http://localhost:8080/, while a run is in progress.
# Needs chromium, and python3 with Pillow (pip install pillow), which makes them small.
set -euo pipefail
[ $# -eq 1 ] || { sed -n '2,4s/^# //p' "$0"; exit 64; }
address=${1%/}
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# shoot NAME PATH WIDTH,HEIGHT [flag of chromium]: by the clock on the wall, since events come by it
shoot() {
  timeout 60 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --timeout=20000 --window-size="$3" ${4:+"$4"} \
    --user-data-dir="$tmp/profile" --screenshot="$tmp/shot.png" "$address$2" 2>/dev/null
  python3 -c 'import sys; from PIL import Image; Image.open(sys.argv[1]).convert("RGB").quantize(96).save(sys.argv[2], optimize=True)' \
    "$tmp/shot.png" "$1.png"
}

shoot serve-live /live 1180,1060
shoot serve-index "/?all=1" 1180,760
shoot serve-index-dark "/?all=1" 1180,760 --blink-settings=preferredColorScheme=0
shoot serve-live-phone /live 390,1400
ls -l serve-*.png
