#!/bin/sh
# What the tests need beside Python packages: the PostgreSQL server programs. Installed where that is allowed (Debian, as root);
# else the run says which tests are left out, and with CI=true that is a failure.
set -eu

has_postgres() {
    command -v initdb >/dev/null 2>&1 && command -v pg_dump >/dev/null 2>&1 && return 0
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1
}

has_postgres && exit 0

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing PostgreSQL for the tests (once) ..."
    # No cluster of its own: the tests make theirs, in a temporary folder.
    mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] || echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null; } || true
    has_postgres && exit 0
fi

echo "PostgreSQL is not installed: the tests that need it are left out. They run after: apt-get install postgresql (macOS: brew install postgresql)" >&2
[ "${CI:-}" != true ] || exit 1
