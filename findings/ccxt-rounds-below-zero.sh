#!/usr/bin/env bash
# ccxt 4.5.84 for JavaScript (npm) and ccxt 4.5.84 for Python (PyPI): one library, the same function, the same arguments.
#
# A reasonable guess: ROUND with a tick size goes to the nearest multiple of the tick, in both languages, on both sides of zero.
#
# What happens: Python does that. JavaScript does it for positive numbers only. A negative number that is not a multiple of the
# tick always goes to the next multiple away from zero: -2.2 with tick 1 becomes -3, and -0.004 with tick 1 becomes -1. With
# DECIMAL_PLACES instead of TICK_SIZE both languages agree.
#
# Why it matters for a bot: prices and quantities are positive, but what a bot computes from them is not: a skew, a change of
# position that is still signed, a profit. A bot that was checked with the Python package trades up to one whole step more in
# JavaScript, always in the direction of the larger position.
#
# What to do instead: round the size without its sign and put the sign back, or keep the sign as a side (BUY, SELL) from the
# start.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"${PYTHON:-python3.11}" -m venv venv
venv/bin/pip install -q -q --no-compile ccxt==4.5.84
npm install --silent --no-audit --no-fund --prefix js ccxt@4.5.84

cat > numbers.txt <<'TEXT'
2.2 1
-2.2 1
-0.004 1
-1.05 0.5
-10.2 0.25
-2.5 0.5
TEXT

timeout 60 venv/bin/python -I - > python.txt <<'PY'
from ccxt.base.decimal_to_precision import ROUND, TICK_SIZE, decimal_to_precision
for line in open("numbers.txt"):
    number, tick = line.split()
    print(decimal_to_precision(number, ROUND, float(tick), TICK_SIZE))
PY
cat > js/round.mjs <<'JS'
import { readFileSync } from "fs";
import ccxt from "ccxt";
for (const line of readFileSync("numbers.txt", "utf8").trim().split("\n")) {
  const [number, tick] = line.split(" ");
  console.log(ccxt.decimalToPrecision(number, ccxt.ROUND, Number(tick), ccxt.TICK_SIZE));
}
JS
timeout 60 node js/round.mjs > javascript.txt

printf '%s\n' 2 -2 0 -1 -10.25 -2.5 > python.seen
printf '%s\n' 2 -3 -1 -1.5 -10.25 -2.5 > javascript.seen

python_version=$(venv/bin/python -I -c 'import ccxt; print(ccxt.__version__)')
javascript_version=$(node -p 'require("./js/node_modules/ccxt/package.json").version')
echo "ccxt $python_version (Python), $javascript_version (JavaScript)"
echo "expected: both languages round to the nearest multiple of the tick"
echo "number, tick, Python, JavaScript:"
paste -d ' ' numbers.txt python.txt javascript.txt
diff python.seen python.txt && diff javascript.seen javascript.txt || { echo "the behaviour has changed"; exit 1; }
