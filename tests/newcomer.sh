#!/usr/bin/env bash
# A newcomer's path, with the commands of README.md and of docs/tutorials/unlabelled.md.
#   tests/newcomer.sh FOLDER PHOTOGRAPHS
# FOLDER is a new one, PHOTOGRAPHS has a sub-folder for each class. Nothing but make, git and Python is needed.
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)
photographs=$(cd "$2" && pwd)
mkdir -p "$1"
git clone --quiet "$project" "$1/sheetlens"
cd "$1/sheetlens"

make demo
make own SHEETS="$photographs"
. .venv/bin/activate
sheetlens predict results/own/models/features/grouped-1 "$photographs" --output answers
sheetlens check

sheetlens review answers --port "${PORT:-8600}" &
trap 'kill $(jobs -p)' EXIT
for _ in $(seq 30); do
    sleep 1
    python -c 'import sys, urllib.request as web; print(web.urlopen(sys.argv[1]).read().decode())' \
        "http://127.0.0.1:${PORT:-8600}/" > answers/review.html 2> answers/review.log && break
done
[ -s answers/review.html ]

# From unlabelled photographs to ranked cabinets, in a clone of its own that shares what is installed.
git clone --quiet "$project" ../unlabelled
ln -s "$PWD/.venv" ../unlabelled/.venv
cd ../unlabelled
touch .venv/installed
python tests/unlabelled.py collect
sheetlens label photographs --classes stained,unstained --output labels &
python tests/unlabelled.py label
kill $!
wait $! || true
make own SHEETS=photographs LABELS=labels/labels.csv
sheetlens predict results/own/models/features/grouped-1 photographs --output answers
sheetlens hotspots --predictions answers/predictions.parquet --model results/own/models/features/grouped-1 \
  --records '{"path": "cabinets.csv", "barcode": "barcode", "columns": {"storageLocation": "cabinet"}}' \
  --tests 20 --output hotspots
python tests/unlabelled.py look
echo "The whole path is walked."
