"""Bans that outlive a run: until when which host wants nothing to hear from this address.

A venue bans addresses, not bots, so all bots of a user share one file. Times are ours, in epoch milliseconds. A file that cannot be
read or written does not stop the run: the venue would only say it again, and longer.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import urlsplit

from coldframe.localfiles import read_file


class Bans:
    """What is known about some hosts, given by their base addresses."""

    def __init__(self, path: Path, *bases: str) -> None:
        self._path = path
        self._hosts = tuple(dict.fromkeys(urlsplit(base).netloc for base in bases))
        #: Why the file could not be read, in a line; empty when it could, or is not there.
        self.fault = ""

    def until_ms(self) -> int:
        """The end of the longest ban that was remembered for one of these hosts; 0 if there is none."""
        known = self._read()
        return max((known.get(host, 0) for host in self._hosts), default=0)

    def remember(self, until_ms: int, now_ms: int) -> None:
        """These hosts have banned us until then. What is over is forgotten."""
        known = {host: end for host, end in self._read().items() if end > now_ms}
        known |= {host: max(until_ms, known.get(host, 0)) for host in self._hosts}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            spare = self._path.with_suffix(f".{os.getpid()}")
            spare.write_text(json.dumps(known))
            spare.replace(self._path)
        except OSError:
            return

    def _read(self) -> dict[str, int]:
        try:
            known = json.loads(read_file(self._path))
            return {str(host): int(end) for host, end in known.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, OverflowError, AttributeError, TypeError, RecursionError) as error:
            why = error.strerror if isinstance(error, OSError) else "damaged"
            self.fault = f"{self._path}: bans of earlier runs cannot be read ({why}), and a ban may still last; delete the file"
            return {}
