#!/bin/sh
# What the tests need beside Python packages: the PostgreSQL server programs, Chromium and Firefox. Installed where that is allowed (Debian, as
# root); else the run says which tests are left out, and with CI=true that is a failure.
set -eu

has_postgres() {
    command -v initdb >/dev/null 2>&1 && command -v pg_dump >/dev/null 2>&1 && return 0
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1
}

has_chromium() {
    command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1
}

# Chromium without windows, for two thirds of the CPU time (tests/chromium.py). Debian has it; elsewhere the browser itself does its work.
has_quick_chromium() {
    command -v chromium-headless-shell >/dev/null 2>&1 || ! grep -qx 'ID=debian' /etc/os-release 2>/dev/null
}

has_firefox() {
    command -v firefox-esr >/dev/null 2>&1 || command -v firefox >/dev/null 2>&1
}

has_postgres && has_chromium && has_quick_chromium && has_firefox && exit 0

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq || true
    missing=
    has_postgres || missing="$missing postgresql"
    has_chromium || missing="$missing chromium fonts-dejavu-core"
    has_quick_chromium || ! apt-cache show chromium-headless-shell >/dev/null 2>&1 || missing="$missing chromium-headless-shell"
    has_firefox || missing="$missing firefox-esr"
    echo "Installing for the tests (once):$missing ..."
    # No cluster of its own: the tests make theirs, in a temporary folder.
    mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] || echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf
    # shellcheck disable=SC2086 - several packages
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null || true
fi

left_out=
if ! has_postgres; then
    left_out=yes
    echo "PostgreSQL is not installed: the tests that need it are left out. They run after: apt-get install postgresql (macOS: brew install postgresql)" >&2
fi
if ! has_chromium; then
    left_out=yes
    echo "Chromium is not installed: the tests that need it are left out. They run after: apt-get install chromium (macOS: brew install chromium)" >&2
fi
if ! has_firefox; then
    left_out=yes
    echo "Firefox is not installed: the test that needs it is left out. It runs after: apt-get install firefox-esr (macOS: brew install firefox)" >&2
fi
[ -z "$left_out" ] || [ "${CI:-}" != true ] || exit 1
