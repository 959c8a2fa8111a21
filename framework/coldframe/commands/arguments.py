"""Arguments of verbs that have many. Imports nothing of the product: `--help` stays fast."""

from __future__ import annotations

import argparse
from pathlib import Path


def columns_arguments(verb: argparse.ArgumentParser) -> None:
    """Those of `coldframe recording columns`."""
    verb.add_argument("--to", type=Path, metavar="FILE", help="the file of columns (FILE.columns beside the source)")
    verb.add_argument(
        "--as", default="", dest="data_set", metavar="SET", help="what the file holds, where its name does not say so"
    )
    verb.add_argument("--symbol", default="", metavar="SYMBOL", help="the contract, where the name of the file does not say so")
    verb.add_argument("--interval", default="", metavar="1m", help="the interval of candles, where the name does not say so")
    verb.add_argument(
        "--metrics-labels",
        choices=("by-date", "start", "end"),
        default="by-date",
        help="what the time of a row of metrics is: start or end of its five minutes (the end before 2026-06-25)",
    )
