"""Which halt file is a bot's, and which other ones may be the same bot's: moving a configuration lifts no halt.

A halt file belongs to a configuration (by its resolved path) and the bot's name in it, so that two copies of a bot on one machine
do not halt each other. A register beside the journals knows every such pair with its file and account. A start looks there for a
halt of the same name, account or path under another key, takes it over and says so; `coldframe resume` ends it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final

import attrs
import msgspec

from coldframe.config.load import Loaded
from coldframe.errors import ConfigError, DecodeError
from coldframe.localfiles import read_file
from coldframe.model.halting import Halt
from coldframe.trio_io.clock import epoch_ns
from coldframe.trio_io.halt_file import HaltFile, HaltFileContent, Owner, lifted, raised
from coldframe.trio_io.paths import private_folder, state_home
from coldframe.trio_io.runs import RunFolder
from coldframe.wire.strict import read_as

#: So many halts of other files are remembered as taken over.
_TAKEN_LIMIT: Final = 100


class _BotEntry(msgspec.Struct, kw_only=True):
    """One bot in the register. `taken` are the states of other halt files that it has taken over before."""

    name: str
    configuration: str
    account: str = ""
    file: str
    taken: list[str] = []


def bot_folder(loaded: Loaded) -> Path:
    """The folder of what belongs to this configuration of a bot and to no copy of it."""
    return state_home() / loaded.config.name / _digest(_configuration(loaded))


def halt_file_of(loaded: Loaded, account: str = "") -> HaltFile:
    """The halt file of a bot. `account` is named in it; left empty, it is the one that the bot last ran with."""
    named = loaded.config.halt.file
    path = loaded.source.base / Path(named).expanduser() if named else bot_folder(loaded) / "halt.json"
    known = account or loaded.config.journal.account or _Register().entry(loaded).account
    return HaltFile(path, Owner(loaded.config.name, _configuration(loaded), known))


def runs_of(halt_file: HaltFile) -> RunFolder:
    """The runs that heed a halt file, wherever that is kept."""
    return RunFolder(state_home() / "runs" / _digest(str(halt_file.path.resolve())))


def standing_halts(loaded: Loaded, account: str, warn: Callable[[str], None]) -> HaltFileContent:
    """The halts that a start begins with: its own, and those of what may be the same bot under another key.

    Those are written into its own file, so that they hold until they are resumed here.
    """
    halt_file, register = halt_file_of(loaded, account), _Register()
    mine = register.entry(loaded)
    mine.account, mine.file = account or mine.account, str(halt_file.path)
    found: tuple[Halt, ...] = ()
    for other, content, state in register.halted(mine):
        if state not in mine.taken and Path(other.file) != halt_file.path:
            mine.taken = [*mine.taken, state][-_TAKEN_LIMIT:]
            origin = other.configuration or other.file
            found += tuple(attrs.evolve(halt, reason=f"{halt.reason} (halted for {origin})".strip()) for halt in content.halts)
            warn(f"{_described(other)} is halted: this start stays halted as well, until `coldframe resume {loaded.source.path}`")
    for line in register.unreadable.values():
        warn(line)
    return _adopted(halt_file, register, mine, found)


def _adopted(halt_file: HaltFile, register: _Register, mine: _BotEntry, found: tuple[Halt, ...]) -> HaltFileContent:
    """Writes down what was taken over. A disk that takes nothing leaves a start halted all the same."""

    def all_of(halts: tuple[Halt, ...]) -> tuple[Halt, ...]:
        for halt in found:
            halts = raised(halts, halt)
        return halts

    try:
        content = halt_file.change(all_of, f"{epoch_ns()}.{os.getpid()}") if found else halt_file.read()
    except ConfigError:
        return HaltFileContent("unwritten", all_of(halt_file.read().halts))
    register.put(mine)
    return content


def resumed(loaded: Loaded, strategy: str | None) -> None:
    """A person has resumed this bot: halts under other keys are not taken over again, and end where no bot is left to hold them."""
    halt_file, register = halt_file_of(loaded), _Register()
    mine = register.entry(loaded)
    mine.file = str(halt_file.path)
    if strategy is not None:
        return
    for other, _, state in register.halted(mine):
        mine.taken = [*mine.taken, state][-_TAKEN_LIMIT:]
        if not other.configuration or not Path(other.configuration).exists():
            with suppress(ConfigError):
                theirs = HaltFile(Path(other.file), Owner(other.name, other.configuration, other.account))
                theirs.clear(theirs.change(lambda halts: lifted(halts, None), f"{epoch_ns()}.{os.getpid()}").revision)
    register.put(mine)


def known(loaded: Loaded) -> None:
    """Enters a bot into the register, so that its halts are found whatever becomes of its configuration."""
    register = _Register()
    mine = register.entry(loaded)
    mine.file = str(halt_file_of(loaded).path)
    register.put(mine)


class _Register:
    """All bots of this user, one small file each. What cannot be read is left out; what cannot be written is left."""

    def __init__(self) -> None:
        self._folder = state_home() / "halts"
        #: What of it could not be read, in words, by path.
        self.unreadable: dict[str, str] = {}

    def entry(self, loaded: Loaded) -> _BotEntry:
        """The entry of a bot, new if it has none."""
        name, configuration = loaded.config.name, _configuration(loaded)
        found = self._read(self._path(name, configuration))
        return found or _BotEntry(name=name, configuration=configuration, file="")

    def put(self, entry: _BotEntry) -> None:
        path = self._path(entry.name, entry.configuration)
        spare = path.with_name(f"{path.name}.{os.getpid()}")
        with suppress(OSError):
            private_folder(self._folder)
            spare.touch(mode=0o600)
            spare.write_bytes(msgspec.json.encode(entry))
            spare.replace(path)

    def halted(self, mine: _BotEntry) -> Iterator[tuple[_BotEntry, HaltFileContent, str]]:
        """The other bots that may be this one and are halted, what holds there, and what tells this state from others."""
        others = [entry for path in sorted(self._folder.glob("*.json")) if (entry := self._read(path)) is not None]
        entered = {mine.file, *(other.file for other in others)}
        here = state_home() / mine.name
        # Before there was a register, halts were kept by the name alone; and a register may get lost.
        loose = [path for path in (here / "halt.json", *sorted(here.glob("*/halt.json"))) if str(path) not in entered]
        others += [_BotEntry(name=mine.name, configuration="", file=str(path)) for path in loose]
        for other in others:
            if not _may_be_same(mine, other):
                continue
            halt_file = HaltFile(Path(other.file))
            stamp, content = halt_file.stamp(), halt_file.read()
            if content.halts:
                yield other, content, f"{other.file} {content.revision} {stamp}"

    def _path(self, name: str, configuration: str) -> Path:
        return self._folder / f"{_digest(f'{configuration} {name}')}.json"

    def _read(self, path: Path) -> _BotEntry | None:
        try:
            return read_as(_BotEntry, read_file(path))
        except FileNotFoundError:
            return None
        except (OSError, DecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            text = f"{path}: the entry of a bot cannot be read: {why}"
            self.unreadable[str(path)] = f"{text}; a halt of that bot is not seen: look for it, and delete this file"
            return None


def _may_be_same(mine: _BotEntry, other: _BotEntry) -> bool:
    if (mine.name, mine.configuration) == (other.name, other.configuration):
        return False
    # The keys of a paper account are made for one run and name nothing that lasts.
    account = bool(mine.account) and not mine.account.startswith("paper-") and mine.account == other.account
    return account or mine.name == other.name or mine.configuration == other.configuration


def _described(entry: _BotEntry) -> str:
    account = f", account {entry.account}" if entry.account else ""
    return f"bot {entry.name} of {entry.configuration or entry.file}{account}"


def _configuration(loaded: Loaded) -> str:
    return str(loaded.source.path.resolve())


def _digest(text: str) -> str:
    return blake2b(text.encode(errors="surrogateescape"), digest_size=6).hexdigest()
