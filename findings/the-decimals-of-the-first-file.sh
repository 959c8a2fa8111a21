#!/usr/bin/env bash
# polars 2.1.0, duckdb 2.0.1 and pyarrow 26.0.1: two days of fees put one behind the other, the first day with 2 decimals.
#
# A reasonable guess: columns of a different type are widened or refused. polars refuses to put whole numbers below fractions,
# and even 64 bits below 32; decimals with 8 places below decimals with 2 will be no exception.
#
# What happens: polars.concat takes the type of the first table and rounds the second day to it, so a fee of 0.00412345 becomes
# 0.00. read_parquet of DuckDB does the same by the name of the first file. Nothing is said. With the days the other way round
# both are exact. UNION ALL of DuckDB, which widens, is exact for DECIMAL(18), and rounds to 2 places, in any order, for
# DECIMAL(38): that is what polars writes by itself. polars.scan_parquet and pyarrow refuse the same two files.
#
# Why it matters for a bot: polars takes the places of a column from the numbers in it. A quiet day has round fees, the next has
# not, and the sum over the month lacks what the rounding took. That the files of another month are right depends on their
# names.
#
# What to do instead: give decimal columns their type when they are made (schema={"fee": pl.Decimal(38, 8)}), concatenate in
# polars with how="vertical_relaxed", read in DuckDB with union_by_name = true, from columns narrower than 38 digits.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"${PYTHON:-python3.11}" -m venv venv
venv/bin/pip install -q -q --no-compile polars==2.1.0 duckdb==2.0.1 pyarrow==26.0.1

timeout 60 venv/bin/python -I - <<'PY'
import sys
from decimal import Decimal

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

quiet, busy = [Decimal("0.12"), Decimal("0.05")], [Decimal("0.00412345"), Decimal("0.00387655"), Decimal("0.00199999")]
days = {width: [(quiet, pa.decimal128(width, 2)), (busy, pa.decimal128(width, 8))] for width in (18, 38)}
for width, tables in days.items():
    for number, (fees, kind) in enumerate(tables, 1):
        pq.write_table(pa.table({"fee": pa.array(fees, kind)}), f"{width}-day-{number}.parquet")


def asked(query):
    return duckdb.sql(f"select sum(fee) from ({query})").fetchall()[0][0]


def or_refusal(ask):
    try:
        return ask()
    except (pl.exceptions.SchemaError, pa.ArrowInvalid) as error:
        return type(error).__name__


first, second = pl.DataFrame({"fee": quiet}), pl.DataFrame({"fee": busy})
whole, fraction = pl.DataFrame({"fee": [1]}), pl.DataFrame({"fee": [0.5]})
seen = {
    "exact": sum(quiet + busy),
    "polars, whole numbers and fractions": or_refusal(lambda: pl.concat([whole, fraction])),
    "polars.concat": or_refusal(lambda: pl.concat([first, second])["fee"].sum()),
    "polars.concat, second day first": or_refusal(lambda: pl.concat([second, first])["fee"].sum()),
    'polars.concat, how="vertical_relaxed"': or_refusal(lambda: pl.concat([first, second], how="vertical_relaxed")["fee"].sum()),
    "polars.scan_parquet": or_refusal(lambda: pl.scan_parquet("18-day-*.parquet").collect()["fee"].sum()),
    "pyarrow": or_refusal(lambda: ds.dataset(["18-day-1.parquet", "18-day-2.parquet"]).to_table()),
    "duckdb, read_parquet": asked("from read_parquet('18-day-*.parquet')"),
    "duckdb, read_parquet, union_by_name": asked("from read_parquet('18-day-*.parquet', union_by_name = true)"),
    "duckdb, union all, 18 digits": asked("from '18-day-1.parquet' union all from '18-day-2.parquet'"),
    "duckdb, union all, 38 digits": asked("from '38-day-1.parquet' union all from '38-day-2.parquet'"),
    "duckdb, union all, 38 digits, second day first": asked("from '38-day-2.parquet' union all from '38-day-1.parquet'"),
}
print(f"polars {pl.__version__}, duckdb {duckdb.__version__}, pyarrow {pa.__version__}; {first.schema['fee']}, {second.schema['fee']}")
print("expected: the exact sum or a refusal everywhere")
for name, value in seen.items():
    print(f"  {name}: {value}")
exact, rounded = Decimal("0.17999999"), Decimal("0.17")
was = dict(
    zip(
        seen,
        [exact, "SchemaError", rounded, exact, exact, "SchemaError", "ArrowInvalid", rounded, exact, exact, rounded, rounded],
        strict=True,
    )
)
if seen != was:
    print(f"the behaviour has changed, it was {was}")
    sys.exit(1)
PY
