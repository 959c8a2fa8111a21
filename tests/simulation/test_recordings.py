"""A bot on a recording, on virtual time: the recorded market plays to the bot as over sockets, and every time the same."""

from __future__ import annotations

import gzip
from pathlib import Path

import attrs
import pytest

from coldframe.errors import ConfigError
from tests.simulation.pump import Pump, market_of

CONFIG = Path(__file__).parents[2] / "configs" / "recorded.toml"


def recorded(speed: str = "1", file: Path | None = None) -> Pump:
    usual = Pump.of_config(CONFIG).settings
    settings = attrs.evolve(usual, speed=speed, recording=str(file or usual.recording))
    return Pump.of_config(CONFIG, settings=settings, market=market_of(settings))


def until_played(pump: Pump) -> Pump:
    pump.until(lambda: pump.market.ended, 120)
    return pump


def what_happened(pump: Pump) -> list[object]:
    return [*pump.sent, *((row.kind, row.ref, row.body) for row in pump.rows)]


@pytest.mark.scene
@pytest.mark.parametrize("speed", ["1", "max"])
def test_a_recording_gives_the_same_run_every_time(speed: str) -> None:
    """At full speed too: on virtual time nothing depends on how fast a machine reads."""
    first, again = (until_played(recorded(speed)) for _ in range(2))
    assert what_happened(first) == what_happened(again)
    assert first.told("fill")
    assert (first.market.fault, first.market.note) == (None, None)


@pytest.mark.scene
def test_twice_the_speed_takes_half_the_time() -> None:
    took_ms = []
    for speed in ("1", "2", "10"):
        pump = recorded(speed)
        began_ms = pump.now_ms
        took_ms.append(until_played(pump).now_ms - began_ms)
    assert took_ms[0] > 5_000
    assert took_ms[1] == pytest.approx(took_ms[0] / 2, rel=0.1)
    assert took_ms[2] == pytest.approx(took_ms[0] / 10, rel=0.2)


def test_full_speed_waits_for_the_bot() -> None:
    """Never more frames are on their way than a listener may be behind, and a turn's worth."""
    pump, most = recorded("max"), 0

    def look() -> None:
        nonlocal most
        most = max(most, *(pump.backlog(link) for link in pump.venue.sockets), 0)

    pump.watchers.append(look)
    until_played(pump)
    assert 0 < most <= 512 + 2 * 16


def test_damage_to_the_recording_ends_the_venue(tmp_path: Path) -> None:
    """The file is damaged behind the back of the venue, which has looked through it before."""
    file = tmp_path / "recording.jsonl"
    usual = Path(str(Pump.of_config(CONFIG).settings.recording))
    file.write_bytes(gzip.decompress(usual.read_bytes()))
    pump = recorded(file=file)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:40], b"nonsense\n", *lines[40:]]))
    with pytest.raises(ConfigError, match=r"recording\.jsonl:41: not a line of a recording"):
        until_played(pump)
    assert pump.market.fault is not None
