"""Arguments of verbs that have many, and the values that the texts of arguments stand for.

Imports nothing of the product: `--help` stays fast.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path


def columns_arguments(verb: argparse.ArgumentParser) -> None:
    """Those of `coldframe recording columns`."""
    verb.add_argument(
        "--to",
        type=Path,
        metavar="FILE",
        help="the file of columns (FILE.columns beside the source); .parquet and .npz write those",
    )
    verb.add_argument(
        "--as", default="", dest="data_set", metavar="SET", help="what the file holds, where its name does not say so"
    )
    verb.add_argument("--symbol", default="", metavar="SYMBOL", help="the contract, where the name of the file does not say so")
    verb.add_argument("--interval", default="", metavar="1m", help="the interval of candles, where the name does not say so")
    verb.add_argument("--decimals", action="store_true", help="with --to FILE.parquet: decimals for other programs, not integers")
    verb.add_argument(
        "--metrics-labels",
        choices=("by-date", "start", "end"),
        default="by-date",
        help="what the time of a row of metrics is: start or end of its five minutes (the end before 2026-06-25)",
    )


def backtest_arguments(verb: argparse.ArgumentParser) -> None:
    """Those of `coldframe backtest`."""
    stress_arguments(verb)
    verb.add_argument("--all-presets", action="store_true", help="run the bot under each of them, and show them side by side")
    verb.add_argument("--journal", type=Path, metavar="FILE", help="keep the journal of the run in this file")
    verb.add_argument("--record", type=Path, metavar="FILE", help="write what the bot hears of the market to a recording")


def stress_arguments(verb: argparse.ArgumentParser) -> None:
    """Those of `coldframe stress`, which `coldframe backtest` has too."""
    verb.add_argument("--for", dest="for_s", type=seconds, metavar="TIME", help="end after a time such as 5m or 1h")
    verb.add_argument("--from", dest="from_ms", type=moment, metavar="TIME", help="start at this time of a recording (UTC)")
    verb.add_argument("--to", dest="to_ms", type=moment, metavar="TIME", help="end at this time of a recording (UTC)")
    verb.add_argument(
        "--preset", choices=("optimistic", "realistic", "pessimistic"), default="realistic", help="what is assumed (realistic)"
    )
    for way, what in (("feed", "market data to the bot"), ("entry", "requests to the exchange"), ("answer", "answers to the bot")):
        text = f"how long {what} travel, instead of what the preset says"
        verb.add_argument(f"--{way}-ms", type=milliseconds, metavar="MS", help=text)


def count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid number of rows")
    return int(text)


def days(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 5:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days from 0 to 99999")
    return int(text)


def seconds(text: str) -> float:
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
    digits = text.rstrip("smh")
    try:
        seconds = float(digits) * units[text[len(digits) :]]
    except (ValueError, KeyError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 20s, 5m or 1h") from None
    if not 0 < seconds < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid length of a run")
    return seconds


def minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid number of minutes (above 0, at most 10000)")
    return minutes


def seeds(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 4 or not 1 <= int(text) <= 1_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid number of seeds (1 to 1000)")
    return int(text)


def milliseconds(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 5 or int(text) > 60_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid number of milliseconds (0 to 60000)")
    return int(text)


def moment(text: str) -> int:
    """A time in UTC as epoch milliseconds: 2024-08-08, 2024-08-08T23:54, 2024-08-08T23:54:20."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 2024-08-08 or 2024-08-08T23:54:20 (UTC)") from None
    return round((read if read.tzinfo is not None else read.replace(tzinfo=UTC)).timestamp() * 1_000)
