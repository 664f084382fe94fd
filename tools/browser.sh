#!/usr/bin/env bash
# Sees to the headless Chromium in which tests look at the dashboard. Without one those tests are skipped, and say so.
set -euo pipefail

if [ -n "${DUNWU_CHROMIUM:-}" ]; then
  exit 0
fi
for name in chromium chromium-browser google-chrome google-chrome-stable chrome; do
  if command -v "$name" > /dev/null; then
    exit 0
  fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
  { apt-get update && apt-get install -y --no-install-recommends chromium; } >&2 \
    || echo "tests: chromium could not be installed; tests of the dashboard's pages will be skipped" >&2
else
  echo "tests: for those of the dashboard's pages install chromium (Debian, Ubuntu: sudo apt install chromium; Fedora: sudo dnf" \
    "install chromium; Arch: sudo pacman -S chromium), or set DUNWU_CHROMIUM to a Chromium or Chrome" >&2
fi
