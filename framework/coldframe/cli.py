"""The verbs of the command line: arguments in, results on stdout, logs on stderr, an exit code that says what happened.

Nothing heavy is imported before a verb is known. Every error that Coldframe raises on purpose is one line (or one per finding);
a traceback is only shown with --debug, or for a bug.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NoReturn, TextIO, TypeAlias

from coldframe.commands import arguments
from coldframe.errors import ColdframeError
from coldframe.exits import Exit, gravest
from coldframe.renamed import Renamed, note_renamed
from coldframe.text import printable

#: How long an ended process waits for threads that a plugin has started.
_PATIENCE_S: Final = 3.0

_SubParsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the process that started this one
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  (for the life of the process)
    parser = _parser()
    with _notices():
        return _carried_out(parser.parse_args(argv))


def _carried_out(args: argparse.Namespace) -> int:
    try:
        return int(args.verb(args) or 0)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of the output has gone: nothing more to say
        return 0
    except BaseException as error:  # noqa: BLE001  (the last fence: whatever ends us is explained)
        return _explain(error, debug=args.debug)


@contextmanager
def _notices() -> Iterator[None]:
    """Shows notices of old names as one line each; other warnings are shown as Python does."""
    usual = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not issubclass(category, Renamed):
            usual(message, category, filename, lineno, file, line)
            return
        where = "" if Path(filename).is_relative_to(Path(__file__).parent) else f"{filename}:{lineno}: "
        print(f"coldframe: {printable(f'{where}{message}')}", file=sys.stderr)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = usual


def script() -> NoReturn:
    """The process: runs the command that was asked for, and ends with its exit code whatever a plugin has left running."""
    code = main()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    threading.Thread(target=_cut_off, args=(code,), daemon=True).start()
    sys.exit(code)


def _cut_off(code: int) -> None:
    """Python waits for threads other than daemons, and for what is registered at its exit: so long, and no longer."""
    threading.Event().wait(_PATIENCE_S)
    left = [thread.name for thread in threading.enumerate() if not thread.daemon and thread is not threading.main_thread()]
    what = f"the threads {', '.join(left)} go on" if left else "something does not come to its end"
    with suppress(OSError, ValueError):
        print(f"coldframe: {printable(what)}, the process ends without them", file=sys.stderr, flush=True)
    os._exit(code)


def _explain(error: BaseException, *, debug: bool) -> int:
    """An error for people, and its exit code. Of a group the gravest stands for all: a bug before everything else."""
    leaves = _leaves(error)
    raised = [leaf for leaf in leaves if isinstance(leaf, ColdframeError)]
    worst = gravest(leaf.exit_code for leaf in raised)
    first = next((leaf for leaf in leaves if leaf not in raised), None) or next(leaf for leaf in raised if leaf.exit_code == worst)
    if isinstance(first, KeyboardInterrupt):
        return 130
    if isinstance(first, SystemExit):
        raise first
    if debug or not isinstance(first, ColdframeError):
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    if not isinstance(first, ColdframeError):
        more = f" (and {len(leaves) - 1} more errors)" if len(leaves) > 1 else ""
        print(f"coldframe: a bug: {type(first).__name__}: {printable(str(first))}{more}", file=sys.stderr)
        return Exit.BUG
    for line in str(first).split("\n"):
        print(f"coldframe: {printable(line)}", file=sys.stderr)
    return first.exit_code


def _leaves(error: BaseException) -> list[BaseException]:
    """The single errors in a group, and in the groups in it."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for exception in error.exceptions for leaf in _leaves(exception)]


# -- arguments --------------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="coldframe", description="Declarative trading bots on Binance USD-M Futures.")
    parser.add_argument("--debug", action="store_true", help="show tracebacks and debug lines")
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.set_defaults(verb=_version_or_help(parser))
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")

    _run_verbs(verbs)
    _halt_verbs(verbs)
    _journal_verbs(verbs)
    _other_verbs(verbs)
    return parser


def _run_verbs(verbs: _SubParsers) -> None:
    run = _verb(verbs, "run", _run, "run a bot", "config")
    run.add_argument("--for", dest="for_s", type=arguments.seconds, metavar="TIME", help="end after a time such as 20s, 5m, 1h")
    _recording_option(run, "play this recording in the embedded venue")
    run.add_argument(
        "--speed", metavar="N", help='how fast a recording plays: 1, 10, "max"; that is not deterministic, least of all with max'
    )
    run.add_argument("--record", type=Path, metavar="FILE", help="write what the market links bring to a recording (.jsonl.gz)")
    run.add_argument("--journal", type=Path, metavar="FILE", help="keep the journal of the run in this file")
    run.add_argument(
        "--input-log", type=Path, metavar="DIR", help="write every input into a log in this folder, for coldframe replay"
    )
    run.add_argument("--live", action="store_true", help='allow orders.mode = "live": real money')
    run.add_argument("--plain", action="store_true", help="log lines instead of the live view")

    backtest = _verb(verbs, "backtest", _backtest, "run a bot on a recording, or on the synthetic market, in no time", "config")
    _recording_option(backtest, "the market: this recording, at the time when it was recorded")
    arguments.backtest_arguments(backtest)
    stress = _verb(verbs, "stress", _stress, "backtest a bot with one thing made worse each time", "config")
    _recording_option(stress, "the market: this recording, at the time when it was recorded")
    arguments.stress_arguments(stress)

    _verb(verbs, "compare", _compare, "where two runs first differ, why, and what that is in money", "journal", "other")

    _verb(verbs, "check", _check, "check a configuration without connecting", "config")

    replay = _verb(
        verbs, "replay", _replay, "take a run again from its input log (or the newest of a folder), and compare every step", "log"
    )
    replay.add_argument("--until", type=int, metavar="SEQ", help="end after the input with this number")
    replay.add_argument("--strategy", metavar="ID", help="show what this strategy wants, step by step")

    determinism = _verb(
        verbs, "determinism", _determinism, "run a configuration twice on virtual time, and compare every step", "config"
    )
    determinism.add_argument(
        "--minutes", type=arguments.minutes, default=2.0, metavar="M", help="virtual minutes of each run (default: 2)"
    )
    determinism.add_argument(
        "--seeds", type=arguments.seeds, default=1, metavar="N", help="for so many seeds of the venue, from its own on (1)"
    )


def _halt_verbs(verbs: _SubParsers) -> None:
    halt = _verb(verbs, "halt", _halt, "halt a bot, until `coldframe resume`", "config")
    halt.add_argument("--strategy", metavar="ID", help="only this strategy")
    halt.add_argument(
        "--level",
        choices=("pause", "cancel", "flatten"),
        default="cancel",
        help="pause: no new risk; cancel: and all orders cancelled (default); flatten: and positions brought to zero",
    )
    halt.add_argument("--reason", default="", metavar="TEXT", help="stands in logs and refusals")

    resume = _verb(verbs, "resume", _resume, "end the halts of a bot", "config")
    resume.add_argument("--strategy", metavar="ID", help="only the halt of this strategy")

    orders = verbs.add_parser("orders", help="orders that need a person")
    resolve = _verb(
        orders.add_subparsers(required=True, metavar="VERB"),
        "resolve",
        _orders_resolve,
        "say what became of an order that could not be proved",
        "config",
    )
    resolve.add_argument("order", metavar="ORDER", help="its client order id")
    resolve.add_argument("--as", dest="outcome", choices=("never_accepted", "canceled", "expired", "filled"), required=True)


def _journal_verbs(verbs: _SubParsers) -> None:
    journal = verbs.add_parser("journal", help="what bots have written down")
    journals = journal.add_subparsers(required=True, metavar="VERB")
    where = "JOURNAL"
    _verb(journals, "verify", _journal_verify, "prove every row, and that they fold to what the checkpoints say", where)
    prune = _verb(journals, "prune", _journal_prune, "delete old rows for good, while no bot runs on the journal", where)
    keep = "what is younger stays (30); 0 keeps only what a restart needs"
    prune.add_argument("--keep-days", type=arguments.days, default=30, metavar="N", help=keep)
    tail = _verb(journals, "tail", _journal_tail, "the last rows", where)
    tail.add_argument("-n", type=arguments.count, default=20, dest="count", metavar="N", help="how many (20)")
    _verb(journals, "orders", _journal_orders, "every order as it was last seen", where)
    _verb(journals, "fills", _journal_fills, "every fill with its fee", where)
    export = _verb(journals, "export", _journal_export, "rows, orders or fills as CSV or JSON", where)
    export.add_argument("--what", choices=("rows", "orders", "fills"), default="rows", help="what to export (rows)")
    export.add_argument("--as", choices=("csv", "json"), default="csv", dest="form", help="the format (csv)")


def _other_verbs(verbs: _SubParsers) -> None:
    venue = _verb(verbs, "venue", _venue, "serve the embedded venue alone", "config")
    venue.add_argument("--port", type=int, metavar="N", help="TCP port; 0 takes a free one")
    _recording_option(venue, "play this recording")
    venue.add_argument("--keys", type=Path, metavar="DIR", help="keep the keys of its accounts here, and use them again")
    venue.add_argument("--state", type=Path, metavar="DIR", help="keep its accounts here, and remember orders and positions")

    change = _verb(verbs, "venue-change", _venue_change, "change something at a `coldframe venue` that runs")
    change.add_argument(
        "what", metavar="WHAT", help="what changes: listing, tick, status, leverage, ... as in [[venue.embedded.changes]]"
    )
    change.add_argument("value", metavar="VALUE", help="what it is from then on")
    change.add_argument("--symbol", default="", metavar="SYMBOL", help="the contract that it is about")
    change.add_argument("--account", default="", metavar="NAME", help="the account that it is about; without one the first")
    change.add_argument("--port", type=int, metavar="N", help="the port of the venue, when several run")

    plugins = verbs.add_parser("plugins", help="what is installed")
    listed = _verb(
        plugins.add_subparsers(required=True, metavar="VERB"), "list", _plugins_list, "list strategies, overlays, sinks and checks"
    )
    listed.add_argument("config", nargs="?", type=Path, metavar="CONFIG", help="say which of them are active in this configuration")

    for name, recording in (("recording", verbs.add_parser("recording", help="recordings")), ("tape", verbs.add_parser("tape"))):
        recordings = recording.add_subparsers(required=True, metavar="VERB")
        _verb(recordings, "info", _recording_info, "what a recording holds", "file")
        _verb(recordings, "verify", _recording_verify, "rebuild its books and compare them with its best prices", "file")
        for parser in recordings.choices.values():
            parser.set_defaults(called=name)
        if name == "recording":
            arguments.columns_arguments(
                _verb(recordings, "columns", _recording_columns, "turn a file into columns of integers", "file")
            )


class _OldOption(argparse.Action):
    """An option under its old name."""

    def __call__(self, parser: object, args: argparse.Namespace, value: object, option: str | None = None) -> None:
        note_renamed(f"the option {option}", f"--{self.dest}", 1)
        setattr(args, self.dest, value)


def _recording_option(verb: argparse.ArgumentParser, text: str) -> None:
    verb.add_argument("--recording", type=Path, metavar="FILE", help=text)
    verb.add_argument("--tape", type=Path, dest="recording", action=_OldOption, help=argparse.SUPPRESS)


def _verb(
    verbs: _SubParsers,
    name: str,
    run: Callable[[argparse.Namespace], int],
    text: str,
    *positional: str,
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    for argument in positional:
        parser.add_argument(argument, type=Path, metavar=argument.upper())
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")
    parser.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    parser.set_defaults(verb=run)
    return parser


def _version_or_help(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    def verb(args: argparse.Namespace) -> int:
        if args.version:
            from importlib.metadata import version

            print(f"coldframe {version('coldframe')}")
            return 0
        parser.print_help(sys.stderr)
        return 2

    return verb


# -- verbs ------------------------------------------------------------------------------------------------------------


def _run(args: argparse.Namespace) -> int:
    from coldframe.commands.verbs import run_bot

    return run_bot(
        args.config,
        for_s=args.for_s,
        recording=args.recording,
        speed=args.speed,
        record=args.record,
        journal=args.journal,
        input_log=args.input_log,
        live=args.live,
        plain=args.plain or args.json,
        debug=args.debug,
        out=_json_or_lines(args.json),
    )


def _backtest(args: argparse.Namespace) -> int:
    from coldframe.commands.backtest import run_backtest

    return run_backtest(args, _json_or_lines(args.json))


def _stress(args: argparse.Namespace) -> int:
    from coldframe.commands.backtest import run_stress

    return run_stress(args, _json_or_lines(args.json))


def _compare(args: argparse.Namespace) -> int:
    from coldframe.commands.compare import compare_journals

    return compare_journals(args.journal, args.other, _json_or_lines(args.json))


def _check(args: argparse.Namespace) -> int:
    from coldframe.commands.verbs import check

    return check(args.config, _json_or_lines(args.json))


def _replay(args: argparse.Namespace) -> int:
    from coldframe.commands.replay import replay_log

    return replay_log(args.log, args.until, args.strategy, _json_or_lines(args.json))


def _determinism(args: argparse.Namespace) -> int:
    from coldframe.commands.determinism import determinism

    return determinism(args.config, args.minutes, args.seeds, _json_or_lines(args.json))


def _halt(args: argparse.Namespace) -> int:
    from coldframe.commands.halt import halt

    return halt(args.config, args.strategy, args.level, args.reason, _json_or_lines(args.json))


def _resume(args: argparse.Namespace) -> int:
    from coldframe.commands.halt import resume

    return resume(args.config, args.strategy, _json_or_lines(args.json))


def _venue(args: argparse.Namespace) -> int:
    from coldframe.commands.verbs import serve_venue

    return serve_venue(
        args.config,
        port=args.port,
        recording=args.recording,
        keys=args.keys,
        state=args.state,
        debug=args.debug,
        out=_json_or_lines(args.json),
    )


def _venue_change(args: argparse.Namespace) -> int:
    from coldframe.exchange_server.control import Ask
    from coldframe.runtime.venuecontrol import change

    return change(Ask(args.what, args.value, args.symbol, args.account), args.port, _json_or_lines(args.json))


def _plugins_list(args: argparse.Namespace) -> int:
    from coldframe.commands.verbs import list_plugins

    return list_plugins(_json_or_lines(args.json), args.config)


def _journal_verify(args: argparse.Namespace) -> int:
    from coldframe.commands.journal import verify

    return verify(args.JOURNAL, _json_or_lines(args.json))


def _journal_prune(args: argparse.Namespace) -> int:
    from coldframe.commands.journal import prune

    return prune(args.JOURNAL, args.keep_days, _json_or_lines(args.json))


def _journal_tail(args: argparse.Namespace) -> int:
    from coldframe.commands.journal import tail

    return tail(args.JOURNAL, args.count, _json_or_lines(args.json))


def _journal_orders(args: argparse.Namespace) -> int:
    from coldframe.commands.journal import orders

    return orders(args.JOURNAL, _json_or_lines(args.json))


def _journal_fills(args: argparse.Namespace) -> int:
    from coldframe.commands.journal import fills

    return fills(args.JOURNAL, _json_or_lines(args.json))


def _journal_export(args: argparse.Namespace) -> int:
    from coldframe.commands.journal import export

    return export(args.JOURNAL, args.what, args.form, _json_or_lines(args.json))


def _orders_resolve(args: argparse.Namespace) -> int:
    from coldframe.commands.orders import resolve

    return resolve(args.config, args.order, args.outcome, _json_or_lines(args.json))


def _recording_info(args: argparse.Namespace) -> int:
    from coldframe.commands.verbs import recording_info

    _note_old_verb(args, "info")
    return recording_info(args.file, _json_or_lines(args.json))


def _recording_verify(args: argparse.Namespace) -> int:
    from coldframe.commands.verbs import recording_verify

    _note_old_verb(args, "verify")
    return recording_verify(args.file, _json_or_lines(args.json))


def _recording_columns(args: argparse.Namespace) -> int:
    from coldframe.commands.columns import make_columns

    return make_columns(args, _json_or_lines(args.json))


def _note_old_verb(args: argparse.Namespace, verb: str) -> None:
    if args.called != "recording":
        note_renamed(f"coldframe {args.called} {verb}", f"coldframe recording {verb}", 1)


def _json_or_lines(as_json: bool) -> Callable[[object, Sequence[str]], None]:
    """How a verb gives its result: the document for machines, or the lines for people."""

    def out(document: object, lines: Sequence[str]) -> None:
        if as_json:
            import json

            lines = [json.dumps(document, ensure_ascii=False)]
        try:
            for line in lines:
                print(line, flush=True)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise ColdframeError(f"the result cannot be written: {error.strerror}") from None

    return out


if __name__ == "__main__":
    script()
