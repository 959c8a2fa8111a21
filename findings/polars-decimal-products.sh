#!/usr/bin/env bash
# polars 2.1.0, duckdb 2.0.1 and pyarrow 26.0.1 on one and the same Parquet file of fills (price with 2 decimals, quantity with
# 3).
#
# A reasonable guess: the columns are decimals, so price * quantity is exact, or an error says that it cannot be.
#
# What happens: DuckDB and Arrow give the product the decimals of both factors (2 + 3 = 5) and are exact. polars gives it those of
# the factor that has more (3) and rounds every single product, half to even. Nothing is raised, and the type still says Decimal.
# With prices and quantities of 8 decimals, a product below 0.000000005 becomes 0.
#
# Why it matters for a bot: the turnover of a thousand fills is off by cents, so fees and profit do not add up to what the venue
# booked, in the very column type that was chosen so that they would. The order of the factors matters as well: (price * fee) *
# quantity rounds elsewhere than (price * quantity) * fee.
#
# What to do instead: cast one factor to a Decimal with the sum of all decimals before multiplying (as below), or compute in whole
# steps (integers), or multiply in DuckDB or Arrow.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"${PYTHON:-python3.11}" -m venv venv
venv/bin/pip install -q -q --no-compile polars==2.1.0 duckdb==2.0.1 pyarrow==26.0.1

timeout 60 venv/bin/python -I - <<'PY'
import random
import sys
from decimal import Decimal

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

chance = random.Random(1)
prices = [Decimal(chance.randrange(6_000_000, 6_600_000)).scaleb(-2) for _ in range(1000)]
quantities = [Decimal(chance.randrange(1, 50)).scaleb(-3) for _ in range(1000)]
fills = pa.table({"price": pa.array(prices, pa.decimal128(12, 2)), "quantity": pa.array(quantities, pa.decimal128(12, 3))})
pq.write_table(fills, "fills.parquet")

price, quantity = pl.col("price"), pl.col("quantity")
frame = pl.read_parquet("fills.parquet")
small = pl.DataFrame({"price": [Decimal("0.00001234")], "quantity": [Decimal("0.00000003")]})
seen = {
    "exact": sum(p * q for p, q in zip(prices, quantities, strict=True)),
    "pyarrow": pc.sum(pc.multiply(fills["price"], fills["quantity"])).as_py(),
    "duckdb": duckdb.sql("select sum(price * quantity) from 'fills.parquet'").fetchall()[0][0],
    "polars": frame.select((price * quantity).sum()).item(),
    "polars, one factor cast to 5 decimals": frame.select((price.cast(pl.Decimal(38, 5)) * quantity).sum()).item(),
    "polars, 0.00001234 * 0.00000003": small.select(price * quantity).item(),
}
was = dict(zip(seen, map(Decimal, ["1590562.17805"] * 3 + ["1590562.198", "1590562.17805", "0"]), strict=True))
print(f"polars {pl.__version__}, duckdb {duckdb.__version__}, pyarrow {pa.__version__}")
print("expected: the same turnover everywhere, or an error")
for name, value in seen.items():
    print(f"  {name}: {value}")
if seen != was:
    print(f"the behaviour has changed, it was {was}")
    sys.exit(1)
PY
