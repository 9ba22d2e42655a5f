#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Make sure of what cannot come from Python packages: a C++ compiler, Python with venv, and (for the
# tests of the report) a browser. Installs Debian packages when run as root, else says what to run.
#
# usage: tools/system_packages.sh PYTHON [browser]
set -euo pipefail
python=$1
missing=()
command -v c++ > /dev/null || missing+=(g++)
if ! command -v "$python" > /dev/null; then
    missing+=(python3.11 python3.11-venv python3.11-dev)
elif ! "$python" -c 'import ensurepip, venv' 2> /dev/null; then
    missing+=("python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv")
fi
if ! "$python" -c 'import os, sysconfig; assert os.path.exists(sysconfig.get_path("include") + "/Python.h")' 2> /dev/null; then
    missing+=(python3-dev)
fi
if [ "${2:-}" = browser ] && ! command -v chromium > /dev/null; then
    missing+=(chromium)
fi
[ ${#missing[@]} -eq 0 ] && exit 0
install="apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get > /dev/null; then
    echo "missing: ${missing[*]}; install them, on Debian with: sudo $install" >&2
    exit 1
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive $install > /dev/null
