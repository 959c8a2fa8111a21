"""The halt file: which halts hold, kept on the disk until a `resume` takes them away.

`halt.json` is written whole or not at all, readable by its owner only. That it is there halts; what stands in it says whom and how
much. A file that cannot be understood halts everything at level `cancel`: `touch halt.json` is a kill switch for a person in a
hurry. `halt.json.lock` is held while the file is changed. Which runs heed it, and how they are asked, is not its affair (`runs`).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs
import msgspec

from coldframe.errors import ConfigError, DecodeError
from coldframe.filelocks import FileLock, LockTaken
from coldframe.localfiles import read_file
from coldframe.model.halting import Halt, HaltLevel
from coldframe.os_specific import BINARY
from coldframe.trio_io.clock import monotonic_s, wait_s
from coldframe.trio_io.paths import private_folder
from coldframe.wire.strict import read_as

_PRIVATE: Final = 0o600
#: For how long another process may be changing the file, and how often is looked whether it still does.
EDITING_S: Final = 2.0
_EDITING_LOOK_S: Final = 0.002
Stamp = tuple[int, int, int]


class _HaltRow(msgspec.Struct):
    level: HaltLevel
    strategy: str | None = None
    reason: str = ""
    at_ms: int = 0


class _File(msgspec.Struct):
    """What stands in the file. `revision` tells two states of it apart; `resumed` is what has just been resumed ("" is all)."""

    version: int
    revision: str
    halts: list[_HaltRow]
    resumed: list[str] = []
    #: Whose file it is, for people: name and configuration of the bot, and its account as far as that is known.
    name: str = ""
    configuration: str = ""
    account: str = ""


@attrs.frozen
class Owner:
    """The bot that a file belongs to: its name, the resolved path of its configuration, and its account where that is known."""

    name: str = ""
    configuration: str = ""
    account: str = ""

    @property
    def described(self) -> str:
        """The bot, as told to people."""
        return f"bot {self.name} of {self.configuration}" if self.configuration else ""


@attrs.frozen
class HaltFileContent:
    """The halts that hold, and the revision of the file that says so (empty: there is no file).

    `resumed` names whom this revision resumes, also where no halt held: limits are lasting, too. None stands for all strategies.
    """

    revision: str = ""
    halts: tuple[Halt, ...] = ()
    resumed: tuple[str | None, ...] = ()


def raised(halts: tuple[Halt, ...], new: Halt) -> tuple[Halt, ...]:
    """The halts with one more. A halt of the same is never made a lesser one: that takes a resumption."""
    old = next((halt for halt in halts if halt.strategy == new.strategy), None)
    kept = new if old is None or new.level.rank >= old.level.rank else attrs.evolve(new, level=old.level)
    return (*(halt for halt in halts if halt.strategy != new.strategy), kept)


def lifted(halts: tuple[Halt, ...], strategy: str | None) -> tuple[Halt, ...]:
    """The halts without that of a strategy; without any of them when no strategy is named."""
    return () if strategy is None else tuple(halt for halt in halts if halt.strategy != strategy)


class HaltFile:
    """One halt file. Raises `ConfigError` where it cannot be read or written."""

    def __init__(self, path: Path, owner: Owner | None = None, editing_s: float = EDITING_S) -> None:
        self.path = path
        self._editing_s = editing_s
        self.owner = owner or Owner()

    def stamp(self) -> Stamp | None:
        """Changes whenever the file does; None while there is none. Cheap enough to be asked twenty times a second."""
        try:
            told = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            return (0, 0, 0)
        return told.st_mtime_ns, told.st_ino, told.st_size

    def read(self) -> HaltFileContent:
        """What holds. Never raises: what cannot be read halts everything."""
        try:
            body = read_file(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return HaltFileContent()
        except OSError as error:
            return HaltFileContent("unreadable", (Halt(HaltLevel.CANCEL, None, f"{self.path}: {error.strerror}"),))
        try:
            file = read_as(_File, body)
        except DecodeError:
            return HaltFileContent("unreadable", (Halt(HaltLevel.CANCEL, None, f"{self.path} is there"),))
        halts = tuple(Halt(halt.level, halt.strategy, halt.reason, halt.at_ms) for halt in file.halts)
        return HaltFileContent(file.revision, halts, tuple(strategy or None for strategy in file.resumed))

    def change(
        self, change: Callable[[tuple[Halt, ...]], tuple[Halt, ...]], revision: str, resumed: tuple[str | None, ...] = ()
    ) -> HaltFileContent:
        """Changes what holds, safe against others who do the same, and says whom that resumes. Returns what holds now.

        An empty file of its own is left behind when nothing holds any more: `clear` takes it away.
        """
        with self._fenced(), self._editing():
            content = HaltFileContent(revision, change(self.read().halts), resumed)
            rows = [_HaltRow(halt.level, halt.strategy, halt.reason, halt.at_ms) for halt in content.halts]
            file = _File(1, revision, rows, [name or "" for name in resumed], **attrs.asdict(self.owner))
            self._write(self.path, msgspec.json.encode(file))
            return content

    def touch(self) -> HaltFileContent:
        """Halts everything at level `cancel`, also where a full disk takes no byte any more: that the file is there is enough."""
        with self._fenced(), self._editing():
            if not any(halt.level.flattens for halt in self.read().halts):  # a halt is never made a lesser one
                os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE))
            return self.read()

    def try_out(self) -> None:
        """Nothing, where the file can be kept: a run that could not be halted lastingly should not begin."""
        with self._fenced(), self._editing():
            pass

    def clear(self, revision: str) -> None:
        """Takes the file away if it is still that of `revision` and nothing holds."""
        with self._fenced(), self._editing():
            content = self.read()
            if content.revision == revision and not content.halts:
                self.path.unlink(missing_ok=True)

    # -- files --------------------------------------------------------------------------------------------------------

    def _folder(self) -> None:
        private_folder(self.path.parent)

    @contextmanager
    def _fenced(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConfigError(f"{self.path}: the halt file cannot be kept here: {error.strerror}") from None

    @contextmanager
    def _editing(self) -> Iterator[None]:
        """One process at a time changes the file. Another one that does not end with it is not waited for long."""
        self._folder()
        lock = self._editing_lock()
        try:
            yield
        finally:
            lock.release()

    def _editing_lock(self) -> FileLock:
        path = self.path.with_name(f"{self.path.name}.lock")
        until_s = monotonic_s() + self._editing_s
        while True:
            try:
                return FileLock(path, "changing the halt file")
            except LockTaken as taken:
                if monotonic_s() >= until_s:
                    text = f"it has been changed for {self._editing_s:g} s by {taken}: end that process"
                    raise OSError(errno.EBUSY, text, str(path)) from None
            wait_s(_EDITING_LOOK_S)

    @staticmethod
    def _write(path: Path, body: bytes) -> None:
        """Whole or not at all, and on the disk before it counts."""
        spare = path.with_name(f"{path.name}.{os.getpid()}.new")
        fd = os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | BINARY, _PRIVATE)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            spare.replace(path)
        except OSError:
            spare.unlink(missing_ok=True)
            raise
