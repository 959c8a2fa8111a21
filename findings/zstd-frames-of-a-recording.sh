#!/usr/bin/env bash
# zstandard 0.25.0, polars 2.1.0 and backports.zstd 1.8.0 (PyPI) on a recording that was continued on the second day.
#
# A .zst file may hold several frames one after the other (cat day1.zst day2.zst is a valid file, and so is a file to which a
# recorder appends), and frames with notes between them that a reader skips (pzstd and seekable files begin with one).
#
# A reasonable guess: readers of one library agree; a reader that stops early says so; what starts with a note is read, too.
#
# What happens: in zstandard, stream_reader, open and copy_stream read the whole file; read_to_iter, made for the same purpose
# with the same arguments, ends after the first frame without a word, and so does decompress. polars does not recognise a file
# that starts with a note: it takes the compressed bytes for CSV, which gives an empty table or an error about UTF-8, by chance.
#
# Why it matters for a bot: a backtest over "the whole recording" is one over the first day, and its end looks like an ordinary
# end of data.
#
# What to do instead: stream_reader (or backports.zstd.open, compression.zstd.open in Python 3.14), and compare the number of
# rows, or the time of the last one, with what was recorded. Rewrite files of pzstd with zstd before giving them to polars.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"${PYTHON:-python3.11}" -m venv venv
venv/bin/pip install -q -q --no-compile zstandard==0.25.0 polars==2.1.0 backports.zstd==1.8.0

timeout 60 venv/bin/python -I - <<'PY'
import io
import sys
from importlib.metadata import version

import polars as pl
import zstandard
from backports import zstd

first = b"time,price\n" + b"".join(b"%d,1.%d\n" % (1700000000000 + row, row % 9) for row in range(100))
second = b"".join(b"%d,1.%d\n" % (1700086400000 + row, row % 9) for row in range(50))
days = zstd.compress(first) + zstd.compress(second)
note = bytes.fromhex("502a4d18") + (4).to_bytes(4, "little") + b"note"


def rows(data):
    return data.count(b"\n") - 1


def copied(data):
    out = io.BytesIO()
    zstandard.ZstdDecompressor().copy_stream(io.BytesIO(data), out)
    return out.getvalue()


def polars_rows(data):
    try:
        return pl.read_csv(data).height
    except pl.exceptions.ComputeError as error:
        return type(error).__name__


seen = {
    "backports.zstd.open": rows(zstd.open(io.BytesIO(days)).read()),
    "zstandard stream_reader": rows(zstandard.ZstdDecompressor().stream_reader(io.BytesIO(days)).read()),
    "zstandard copy_stream": rows(copied(days)),
    "zstandard read_to_iter": rows(b"".join(zstandard.ZstdDecompressor().read_to_iter(io.BytesIO(days)))),
    "zstandard decompress": rows(zstandard.decompress(days)),
    "polars": polars_rows(days),
    "backports.zstd.open, a note first": rows(zstd.open(io.BytesIO(note + days)).read()),
    "polars, a note first": polars_rows(note + days),
}
print(*(f"{name} {version(name)}" for name in ("zstandard", "polars", "backports.zstd")), sep=", ")
print("expected: 150 rows each time")
for name, count in seen.items():
    print(f"  {name}: {count} rows" if isinstance(count, int) else f"  {name}: {count}")
last = seen.pop("polars, a note first")
if list(seen.values()) != [150, 150, 150, 100, 100, 150, 150] or last not in (0, "ComputeError"):
    print("the behaviour has changed, it was 150, 150, 150, 100, 100, 150, 150 and no rows")
    sys.exit(1)
PY
