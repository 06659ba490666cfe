#!/bin/sh
# Prints the path of a Chromium for the tests: one that is there, else Debian's, else Playwright's download.
set -u

fail() {
    echo "$1" >&2
    exit 1
}

works() { # some systems have a stub of that name that only says what to install
    command -v "$1" >/dev/null && "$1" --version >/dev/null 2>&1
}

present() {
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        works "$name" && command -v "$name" && return 0
    done
    return 1
}

if [ -n "${E2ED2_BROWSER:-}" ]; then
    works "$E2ED2_BROWSER" || fail "E2ED2_BROWSER is $E2ED2_BROWSER, which does not run: set it to a Chromium, or unset it."
    command -v "$E2ED2_BROWSER"
    exit 0
fi

present && exit 0

sh "$(dirname "$0")/apt_install.sh" chromium && present && exit 0

if python -m playwright install chromium >&2; then
    path="$(python -c 'from playwright.sync_api import sync_playwright as s
with s() as p: print(p.chromium.executable_path)')"
    works "$path" && echo "$path" && exit 0
fi

fail "The tests need a browser and none could be had: install Chromium, or set E2ED2_BROWSER to one."
