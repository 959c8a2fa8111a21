"""A bug in any task of a run: the run ends, its orders are gone from the venue, and the last line says what it was."""

from __future__ import annotations

import inspect
import signal
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from coldframe import cli
from coldframe.commands import verbs
from coldframe.core.engine import Engine
from coldframe.model.orders import OrderState
from coldframe.trio_io import links as links_module
from coldframe.trio_io.clock import GapWatch
from coldframe.trio_io.heartbeat import Heartbeat
from coldframe.trio_io.inbox import Inbox
from coldframe.trio_io.journal import Journal
from coldframe.trio_io.kill_switch import KillSwitchThread
from coldframe.trio_io.rest import Rest
from coldframe.trio_io.timers import Timers
from tests.scenes.support import CONFIGS, VenueProcess, live_config, venue

RESTING = '''"""Lets two orders rest far below the market."""

from decimal import Decimal

from coldframe import Place, Side, hookimpl


class Resting:
    def __init__(self):
        self.placed = False

    @hookimpl
    def on_book(self, event, view):
        if self.placed or not view.trading_allowed(event.symbol):
            return []
        self.placed = True
        low = (view.book(event.symbol).best_bid * Decimal("0.98")).quantize(Decimal("0.1"))
        return [Place(symbol=event.symbol, side=Side.BUY, price=low - 10 * at, quantity=Decimal("0.005")) for at in range(2)]
'''
TABLE = 'id = "mm"\nplugin = "resting.py:Resting"\nsymbols = ["BTCUSDT"]\nbudget = { max_position = "1", max_notional = "20000" }\n'

#: Who fails, in which task.
POINTS: dict[str, tuple[object, str]] = {
    "the engine": (Engine, "step"),
    "timers": (Timers, "set"),
    "the inbox": (Inbox, "take"),
    "a link's writer": (links_module, "write"),
    "a link's frames": (Inbox, "put_frames"),
    "REST": (Rest, "ask"),
    "the journal": (Journal, "_write_all"),
    "the watch for gaps": (GapWatch, "missed_ms"),
    "the beat": (Heartbeat, "holds"),
    "the kill switch's thread": (KillSwitchThread, "_look"),
}


class Fuse:
    """Blows as soon as two orders rest at the venue."""

    def __init__(self) -> None:
        self.engine: Engine | None = None
        self.seen: list[str] = []

    def burn(self) -> None:
        if self.engine is None:
            return
        if self.resting or self.seen:
            self.seen = self.seen or self.resting
            raise RuntimeError("broken on purpose")

    @property
    def resting(self) -> list[str]:
        """The orders that rest, if there are two."""
        assert self.engine is not None
        names = [order.client_order_id for order in list(self.engine.orders.live) if order.state is OrderState.ACCEPTED]
        return names if len(names) == 2 else []

    def then_ends(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """A step of the engine after which the run is asked to end, once two orders rest: only then does its link write again."""
        asked: list[int] = []

        @wraps(step)
        def stepped(*args: Any) -> Any:
            if self.engine is not None and self.resting and not asked:
                asked.append(1)
                signal.raise_signal(signal.SIGTERM)
            return step(*args)

        return stepped

    def into(self, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def sync(*args: Any, **more: Any) -> Any:
            self.burn()
            return call(*args, **more)

        @wraps(call)
        async def waiting(*args: Any, **more: Any) -> Any:
            self.burn()
            return await call(*args, **more)

        return waiting if inspect.iscoroutinefunction(call) else sync


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VenueProcess]:
    home = str(tmp_path_factory.mktemp("venue"))
    config = Path(home) / "venue.toml"
    # Ten starts within a minute take more weight than the exchange gives an address: the last ones would wait for the next minute.
    text = (CONFIGS / "quickstart.toml").read_text()
    config.write_text(text.replace("[venue.embedded]", "[venue.embedded]\nlimits = { weight_1m = 100_000 }", 1))
    with venue(config, env={"XDG_STATE_HOME": home, "HOME": home}) as there:
        yield there


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("point", POINTS)
def test_p11_a_bug_in_any_task_ends_the_run_with_no_order_left_and_one_line(
    served: VenueProcess,
    tmp_path: Path,
    home: dict[str, str],
    point: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "resting.py").write_text(RESTING)
    config = live_config(tmp_path, served, strategy=TABLE)
    for name, value in {**home, "SCENE_KEY": served.api_key}.items():
        monkeypatch.setenv(name, value)
    fuse, (owner, name) = Fuse(), POINTS[point]
    monkeypatch.setattr(verbs.PlainLog, "started", lambda _, engine: setattr(fuse, "engine", engine))
    monkeypatch.setattr(owner, name, fuse.into(getattr(owner, name)))
    if point == "a link's writer":
        monkeypatch.setattr(Engine, "step", fuse.then_ends(Engine.step))
    code = cli.main(["run", str(config), "--live", "--plain", "--for", "60s"])
    said = capsys.readouterr().err
    assert len(fuse.seen) == 2, said
    assert code == 1
    assert served.ask("/fapi/v1/openOrders") == []
    placed = {order["clientOrderId"]: order["status"] for order in served.ask("/fapi/v1/allOrders", symbol="BTCUSDT")}
    assert [placed[event] for event in fuse.seen] == ["CANCELED", "CANCELED"]
    assert "the run has broken off: its orders are cancelled, no orders of ours are still open at the venue" in said
    thread = point == "the kill switch's thread"
    last = "the kill switch has ended by itself" if thread else "a bug: RuntimeError: broken on purpose"
    assert said.splitlines()[-1].startswith(f"coldframe: {last}")
