"""The journal of a run: which file, whose account, and what an earlier run has left in it.

A run whose orders cannot outlive it (an embedded venue made for it alone) keeps its journal in a folder that vanishes with it,
unless the configuration names a file: the same code runs either way.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from hashlib import blake2b
from pathlib import Path

import attrs

from coldframe.config.load import Loaded
from coldframe.config.schema import Config
from coldframe.core.connectivity.signing import Signer
from coldframe.core.state.journal_codec import RestoredState, counted_body, fold, suspensions_body
from coldframe.core.state.positions import EXTERNAL
from coldframe.errors import ConfigError, JournalUnwritable
from coldframe.filelocks import FileLock, LockTaken
from coldframe.model.journal import RowKind
from coldframe.runtime.build import Bot
from coldframe.trio_io.clock import epoch_ns
from coldframe.trio_io.journal_rotation import Retention
from coldframe.trio_io.journalfile import JournalFile
from coldframe.trio_io.paths import state_home
from coldframe.units import trimmed


@attrs.frozen
class OpenJournal:
    """An open journal, and what stood in it. `past.account` is the account of this run.

    `forgotten` are the strategies whose saved values were of another account, and are not part of `past`.
    """

    file: JournalFile
    past: RestoredState
    forgotten: tuple[str, ...] = ()


@contextmanager
def open_journal(bot: Bot, signer: Signer) -> Iterator[OpenJournal]:
    """Opens the journal of a bot that sends orders and takes its account for this process.

    Raises `JournalUnwritable`, `JournalDamaged`, or `ConfigError` when an earlier run has left
    orders or positions in it that this bot cannot go on with.
    """
    config = bot.config
    account = account_of(config, signer)
    with ExitStack() as stack:
        if config.orders.mode == "live":
            stack.enter_context(alone_on(account, bot.loaded.described))
        path = _path(config, bot.loaded.source.base)
        if path is None:
            folder = tempfile.mkdtemp(prefix="coldframe-")
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            path = Path(folder) / "journal.db"
        file = JournalFile(path, bot.loaded.described)
        stack.callback(file.close)
        past = fold(file.state_rows())
        saved = sorted(name for name, value in past.states.items() if value is not None)
        _refuse_others({strategy.table.id: strategy.symbols for strategy in bot.strategies}, path, past, account)
        yield OpenJournal(file, past, tuple(name for name in saved if name not in past.states))


def account_of(config: Config, signer: Signer) -> str:
    """What tells an account from others: its name in the configuration, or environment and key. The key cannot be read from it."""
    if config.journal.account is not None:
        return config.journal.account
    venue = config.venue.environment if config.orders.mode == "live" else "paper"
    return f"{venue}-{blake2b(signer.api_key.reveal().encode(), digest_size=4).hexdigest()}"


def retention_of(config: Config) -> Retention:
    """How much of a bot's journal is kept."""
    table = config.journal
    return Retention(table.rotate_mb, table.archive_mb, table.archive_days)


def journal_path(config: Config, base: Path) -> Path:
    """The file of a bot's journal, whether it is there or not. Raises `ConfigError` when its runs keep none."""
    path = _path(config, base)
    if path is None:
        raise ConfigError('this bot keeps no journal: name a file, [journal] file = "..."')
    return path


def resume_in_journal(loaded: Loaded, strategy: str | None) -> None:
    """Opens in the journal of a bot that does not run what losses, rejects or a position had shut. Raises `JournalUnwritable`.

    Losses are counted anew with the next run.
    """
    path = _path(loaded.config, loaded.source.base)
    if path is None or not path.is_file():
        return
    file = JournalFile(path, "coldframe resume")
    try:
        past = fold(file.state_rows())
        left, now_ns = past.suspensions.without(strategy), epoch_ns()
        rows = [(now_ns, RowKind.SUSPENSIONS, "", suspensions_body(left))] if left != past.suspensions else []
        rows += [(now_ns, RowKind.LOSSES, owner, counted_body(None)) for owner in past.losses if strategy in (None, owner)]
        if rows:
            file.write(rows)
    finally:
        file.close()


def _path(config: Config, base: Path) -> Path | None:
    if config.journal.file is not None:
        return base / config.journal.file
    return state_home() / config.name / "journal.db" if config.orders.mode == "live" else None


@contextmanager
def alone_on(account: str, holder: str = "") -> Iterator[None]:
    """One process per account: two would count each other's orders as external, and their limits twice.

    Raises `JournalUnwritable` when another process on this machine has it, and names that by what it has given as `holder`.
    """
    held = _hold_account(account, holder)
    try:
        yield
    finally:
        held.release()


def _hold_account(account: str, holder: str) -> FileLock:
    path = state_home() / "accounts" / f"{account}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return FileLock(path, holder)
    except LockTaken as taken:
        raise JournalUnwritable(f"another bot trades on this account ({account}): {taken}; stop it first") from None
    except OSError as error:
        raise JournalUnwritable(f"{path}: the lock of the account cannot be written: {error.strerror}") from None


def _refuse_others(traded: Mapping[str, Collection[str]], path: Path, past: RestoredState, account: str) -> None:
    """What an earlier run has left must belong to this account, to strategies of this bot and to symbols that they still trade.

    `traded` are the symbols of each strategy. `past` becomes this account's.
    """
    if past.account != account:
        lasting = past.account and not past.account.startswith("paper-")
        if lasting and (past.live or past.held()):
            raise ConfigError(
                f"{path}: this journal holds orders or positions of another account ({past.account}, not {account});"
                " is the API key another one now? Then name the account in [journal] account; or give this bot a file of its own"
            )
        past.begin_account(account)
        return
    left = [
        (order.strategy, order.symbol, f"an open order of strategy {order.strategy} in {order.symbol} ({order.client_order_id})")
        for order in past.live
    ]
    left += [
        (name, what.split()[0], f"{trimmed(size)} {what} of strategy {name}")
        for (name, what), size in past.held().items()
        if name != EXTERNAL
    ]
    orphans = sorted(text for name, symbol, text in left if symbol not in traded.get(name, ()))
    if orphans:
        what = "that strategy with its symbol"
        raise ConfigError(f"{path}: an earlier run has left {', '.join(orphans)}; put {what} back into the configuration")
