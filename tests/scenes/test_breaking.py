"""A bug in any task of a run: the run ends, of its orders the stop alone is left, and the last line says what it was."""

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
from coldframe.trio_io.rest import RestClient
from coldframe.trio_io.timers import Timers
from tests.scenes.careful import bids, bot, position, stops
from tests.scenes.support import CONFIGS, PATIENCE_S, VenueProcess, venue

#: Who fails, in which task.
POINTS: dict[str, tuple[object, str]] = {
    "the engine": (Engine, "step"),
    "timers": (Timers, "set"),
    "the inbox": (Inbox, "receive"),
    "a link's writer": (links_module, "write"),
    "a link's frames": (Inbox, "put_frames"),
    "REST": (RestClient, "ask"),
    "the journal": (Journal, "_write_all"),
    "the watch for gaps": (GapWatch, "missed_ms"),
    "the beat": (Heartbeat, "holds"),
    "the kill switch's thread": (KillSwitchThread, "_poll_halt_file"),
}


class Fuse:
    """Blows as soon as a bid and a stop stand at the venue."""

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
        """The bid and the stop, if both stand."""
        assert self.engine is not None
        states = {order.state: order.client_order_id for order in list(self.engine.orders.live)}
        names = [states.get(state, "") for state in (OrderState.ACCEPTED, OrderState.UNTRIGGERED)]
        return names if all(names) else []

    def then_ends(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """A step of the engine after which the run is asked to end, once both stand: only then does its link write again."""
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


@pytest.fixture
def flat(served: VenueProcess) -> Iterator[VenueProcess]:
    """The next bot finds an account without a position, whatever became of this one."""
    yield served
    served.do("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    served.do("DELETE", "/fapi/v1/algoOpenOrders", symbol="BTCUSDT")
    if position(served):
        served.do("POST", "/fapi/v1/order", symbol="BTCUSDT", side="SELL", type="MARKET", quantity="0.010", reduceOnly="true")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("point", POINTS)
def test_p11_o38_a_bug_in_any_task_leaves_nothing_but_the_stop(
    flat: VenueProcess,
    tmp_path: Path,
    home: dict[str, str],
    point: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    served = flat
    config = bot(tmp_path, served)
    for name, value in {**home, "SCENE_KEY": served.api_key}.items():
        monkeypatch.setenv(name, value)
    fuse, (owner, name) = Fuse(), POINTS[point]
    monkeypatch.setattr(verbs.PlainLog, "started", lambda _, engine: setattr(fuse, "engine", engine))
    monkeypatch.setattr(owner, name, fuse.into(getattr(owner, name)))
    if point == "a link's writer":
        monkeypatch.setattr(Engine, "step", fuse.then_ends(Engine.step))
    code = cli.main(["run", str(config), "--live", "--plain", "--for", f"{PATIENCE_S}s"])
    said = capsys.readouterr().err
    assert len(fuse.seen) == 2, said
    assert code == 1
    bid, stop = fuse.seen
    assert (bids(served), stops(served), position(served)) == ([], [stop], 0.01)
    placed = {order["clientOrderId"]: order["status"] for order in served.ask("/fapi/v1/allOrders", symbol="BTCUSDT")}
    assert placed[bid] == "CANCELED"
    assert "the run has broken off: its orders are cancelled, no other orders of the bot are still open at the venue" in said
    assert "kept at the venue: 1 orders of the bot that can only reduce an open position" in said
    thread = point == "the kill switch's thread"
    last = "the kill switch has ended by itself" if thread else "a bug: RuntimeError: broken on purpose"
    assert said.splitlines()[-1].startswith(f"coldframe: {last}")
