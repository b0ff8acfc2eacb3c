#!/bin/sh
# install.sh FOLDER: node-llama-cpp and the script beside this one, once.
set -e
mkdir -p "$1"
cp "$(dirname "$0")/score.mjs" "$1"
cd "$1"
if [ ! -d node_modules/@node-llama-cpp/linux-x64 ]; then
  # Without the binaries for other machines, which are 700 MB.
  for what in node-llama-cpp @node-llama-cpp/linux-x64; do
    npm install --omit=optional --ignore-scripts "$what@3.22.1"
  done
fi
