#!/bin/sh
# Prints the path of a Chromium for the tests: one that is there, else Debian's, else Playwright's download.
set -u

present() {
    for name in "${E2ED2_BROWSER:-}" chromium chromium-browser google-chrome google-chrome-stable; do
        [ -n "$name" ] && command -v "$name" && return 0
    done
    return 1
}

present && exit 0

if command -v apt-get >/dev/null; then
    sudo=""
    [ "$(id -u)" = 0 ] || sudo="sudo -n"
    { $sudo apt-get update -qq && $sudo apt-get install -y -qq chromium; } >&2 && present && exit 0
fi

python -m playwright install chromium >&2 &&
    python -c 'from playwright.sync_api import sync_playwright as s
with s() as p: print(p.chromium.executable_path)' && exit 0

echo "The tests need a browser and none could be had: install Chromium, or set E2ED2_BROWSER to one." >&2
exit 1
