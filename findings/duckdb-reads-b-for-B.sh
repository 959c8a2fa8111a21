#!/usr/bin/env bash
# duckdb 2.0.1 (PyPI) on a recording of the venue's bookTicker stream, as JSON lines and as Parquet.
#
# A reasonable guess: quotes keep the case of a name, as in other databases; "B" (the quantity of the best bid) is not b (its
# price). Or the file is refused because its names collide.
#
# What happens: names are compared without case, quoted or not. read_json renames the second column of a pair to B_1, and select
# "B" gives column b: prices where quantities were asked for. The venue's payloads are full of such pairs: b and B, a and A, e and
# E, q and Q, l and L, t and T. Inside an envelope ({"data": {...}}) the file is refused; with ignore_errors=true, which the
# message recommends, it is read and the fields E, B and A are gone.
#
# Why it matters for a bot: a spread weighted by size, an imbalance, a volume: computed from prices, without an error, and
# plausible at a glance since both are numbers written as text.
#
# What to do instead: take fields by their JSON path, which knows case (json ->> '$.B' from read_json_objects), or read one column
# of a pair at a time (columns = {B: 'VARCHAR'}). For Parquet, rename the columns when writing.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"${PYTHON:-python3.11}" -m venv venv
venv/bin/pip install -q -q --no-compile duckdb==2.0.1 pyarrow==26.0.1

cat > ticker.jsonl <<'TEXT'
{"e":"bookTicker","u":1592216279872,"s":"GALAUSDT","b":"0.07661","B":"40088","a":"0.07662","A":"929","T":1654853780513,"E":1654853780525}
{"e":"bookTicker","u":1592216279873,"s":"GALAUSDT","b":"0.07660","B":"500","a":"0.07662","A":"7","T":1654853780613,"E":1654853780625}
TEXT
sed 's/.*/{"data":&}/' ticker.jsonl > envelope.jsonl

timeout 60 venv/bin/python -I - <<'PY'
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

pq.write_table(pa.table({"b": ["0.07661"], "B": ["40088"]}), "ticker.parquet")
QUESTIONS = {
    "JSON, \"B\"": """select "B" from read_json('ticker.jsonl') limit 1""",
    "JSON, \"B_1\"": """select "B_1" from read_json('ticker.jsonl') limit 1""",
    "Parquet, \"B\"": """select "B" from 'ticker.parquet'""",
    "JSON path, $.B": """select json ->> '$.B' from read_json_objects('ticker.jsonl') limit 1""",
    "envelope": "select data from read_json('envelope.jsonl') limit 1",
    "envelope, ignore_errors": "select data from read_json('envelope.jsonl', ignore_errors=true) limit 1",
}
seen = {}
for name, question in QUESTIONS.items():
    try:
        (answer,) = duckdb.sql(question).fetchall()[0]
        seen[name] = sorted(answer) if isinstance(answer, dict) else answer
    except duckdb.Error as error:
        seen[name] = type(error).__name__

print(f"duckdb {duckdb.__version__}, pyarrow {pa.__version__}")
print('expected: "B" is 40088')
for name, value in seen.items():
    print(f"  {name}: {value}")
was = {
    "JSON, \"B\"": "0.07661",
    "JSON, \"B_1\"": "40088",
    "Parquet, \"B\"": "0.07661",
    "JSON path, $.B": "40088",
    "envelope": "NotImplementedException",
    "envelope, ignore_errors": ["T", "a", "b", "e", "s", "u"],
}
if seen != was:
    print(f"the behaviour has changed, it was {was}")
    sys.exit(1)
PY
