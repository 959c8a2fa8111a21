"""Receive: CPU time per market message of whole clients, the bot and peers, as fast as they read and at the pace of a link.

Each client is a process on one core, the feed is on the other. In every round each client connects anew and goes through all parts;
its CPU time counts from the first message of a part to the last one, with everything that its process does meanwhile. All keep the
books of their symbols and look at what each message brings. A peer whose environment is absent is named and left out.

    python -m bench.peers install     the environments of the peers
    python -m bench.receive           about two minutes
"""

from __future__ import annotations

import os
import ssl
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final

import attrs
import trustme

from bench.feed import Feed
from bench.rounds import arguments, machine, table
from bench.traffic import Traffic
from bench.whole import CLIENTS, NoResult, Where, answering, client, cores, measured, present, said

#: So many messages come before any is counted, at this pace: in them every book gets its snapshot.
WARM: Final = 400
WARM_PACE: Final = 400.0
#: How long a client may finish what the part before has begun, in seconds.
SETTLE_S: Final = 0.3
BOT: Final = "coldframe"
_SMALL: Final = (b"@aggTrade", b"@bookTicker")


@attrs.frozen
class Part:
    """One measured part: a mix, how many messages, and how many a second (None: as fast as the client reads)."""

    name: str
    mix: str
    count: int
    per_second: float | None = None


PARTS: Final = (
    Part("small", "small", 40_000),
    Part("mixed", "mixed", 10_000),
    Part("depth", "depth", 2_000),
    Part("1,000/s", "mixed", 1_000, 1_000.0),
    Part("5,000/s", "mixed", 5_000, 5_000.0),
)


@attrs.frozen
class Run:
    """What the feed sends: the frames of each part, and where each begins and ends in small messages."""

    warm: Sequence[bytes]
    parts: Sequence[tuple[Part, Sequence[bytes]]]
    marks: str


def prepared(traffic: Traffic, parts: Sequence[Part]) -> Run:
    """Each part begins with a best price and ends with one and a trade, so that both kinds of links show that they are through."""
    warm, made, marks = traffic.frames("mixed", WARM), [], []
    seen = _small(warm)
    for part in parts:
        frames = [traffic.best(), *traffic.frames(part.mix, part.count), traffic.best(), traffic.trade()]
        first, seen = seen + 1, seen + _small(frames)
        marks.append(f"{part.name.replace(',', '')}:{first}:{seen}")
        made.append((part, frames))
    return Run(warm, made, ",".join(marks))


def _small(frames: Sequence[bytes]) -> int:
    return sum(any(kind in frame[:40] for kind in _SMALL) for frame in frames)


def once(name: str, run: Run, feed: Feed, where: Where, streams: Sequence[str]) -> dict[str, float]:
    """One client through all parts: CPU microseconds per message. Raises `NoResult`."""
    found = {}
    feed.forget()
    with client(name, where) as process:
        if not feed.subscribed(streams):
            raise NoResult(f"it has not subscribed; its last lines: {said(where.folder)}")
        feed.pace(run.warm, WARM_PACE)
        for part, frames in run.parts:
            time.sleep(SETTLE_S)
            if part.per_second is None:
                feed.blast(frames)
            else:
                feed.pace(frames, part.per_second)
            found[part.name] = measured(process, where, part.name.replace(",", "")) / len(frames) * 1e6
    feed.forget()
    return found


def compared(names: Sequence[str], parts: Sequence[Part], rounds: int, tls: bool) -> dict[str, dict[str, float]]:
    """The medians of all clients, by part."""
    traffic = Traffic()
    snapshots = dict(traffic.snapshots)
    run = prepared(traffic, parts)
    found: dict[str, dict[str, list[float]]] = {name: {part.name: [] for part in parts} for name in names}
    with tempfile.TemporaryDirectory() as folder:
        feed = Feed(answering(snapshots), _tls(Path(folder)) if tls else None)
        ca = Path(folder) / "ca.pem" if tls else None
        where = Where(feed.port, list(snapshots), run.marks, Path(folder), ca)
        for number in range(rounds):
            for name in reversed(names) if number % 2 else names:
                try:
                    for part, figure in once(name, run, feed, where, traffic.streams).items():
                        found[name][part].append(figure)
                except NoResult as error:
                    print(f"{name}: {error}", flush=True)
        feed.close()
    return {name: {part: median(figures) for part, figures in parts.items() if figures} for name, parts in found.items()}


def _tls(folder: Path) -> ssl.SSLContext:
    """A certificate of the feed's own, and the authority that signed it as a file."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


def main(words: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--tls", action="store_true", help="over TLS instead of plain TCP")
    parser.add_argument("--only", action="append", choices=list(CLIENTS), help="these clients, beside the bot; may be repeated")
    parser.add_argument("--parts", nargs="+", choices=[part.name for part in PARTS], help="these parts")
    given = parser.parse_args(words)
    parts = [part for part in PARTS if part.name in (given.parts or part.name)]
    only, rounds = given.only or [name for name in CLIENTS if name != BOT], given.rounds
    if given.quick:
        parts, only, rounds = [Part("small", "small", 200)], ["bare Trio reader"], 1
    names, absent = present([BOT, *(name for name in CLIENTS if name in only)])
    whole = os.sched_getaffinity(0) if (pair := cores()) is not None else None
    if pair is not None:
        os.sched_setaffinity(0, {pair[0]})
    try:
        found = compared(names, parts, rounds, given.tls)
    finally:
        if whole is not None:
            os.sched_setaffinity(0, whole)
    head = ["client", *(part.name for part in parts)]
    print(f"{machine()}; {'TLS' if given.tls else 'plain'}; us CPU per message, medians of {rounds}")
    print(table(head, [[name, *(found[name].get(part.name) for part in parts)] for name in names]))
    print("ratio: the client's figure divided by the bot's")
    print(table(head, [[name, *(_ratio(found, name, part.name) for part in parts)] for name in names[1:]]))
    if absent:
        print(f"absent, see `python -m bench.peers install`: {', '.join(absent)}")


def _ratio(found: Mapping[str, Mapping[str, float]], name: str, part: str) -> float | None:
    theirs, ours = found[name].get(part), found[BOT].get(part)
    return theirs / ours if theirs and ours else None


if __name__ == "__main__":
    main()
