"""Whole processes for the scenes: `coldframe` as a user starts it, and a venue process beside it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import attrs
import httpx2

from coldframe.core.connectivity.signing import HmacSigner, sign_query
from coldframe.core.state.journal_codec import fold
from coldframe.model.orders import OrderState
from coldframe.secret import Secret
from coldframe.trio_io.journal_history import read_rows
from tests.scenes.canary import SCENE

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs"
#: Exit codes of a run that went well: a bot without stops may be left with a position, and says so.
WELL: Final = (0, 4)
_ACKNOWLEDGED: Final = (OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED, OrderState.FILLED, OrderState.CANCELED)
COLDFRAME = [sys.executable, "-m", "coldframe.cli"]


#: How long a scene waits for anything, and how old its questions may be: a busy machine takes its time.
PATIENCE_S: Final = 180
RECV_WINDOW_MS: Final = 60_000
#: How long a live bot of a scene may take to settle its last orders (milliseconds): longer than the proof that one does not exist.
GRACE_MS: Final = 60_000


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    return {**os.environ, "PYTHONWARNINGS": "error::ResourceWarning", **(extra or {})}


def coldframe(
    *args: object, timeout_s: float = PATIENCE_S, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs one command to its end."""
    command = [*COLDFRAME, *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, cwd=ROOT, env=environment(env), check=False)
    SCENE.heard(f"stdout of {args}", done.stdout)
    SCENE.heard(f"stderr of {args}", done.stderr)
    return done


@attrs.define
class Running:
    """A command under way. Its lines gather in files, so that they can be read while it runs."""

    process: subprocess.Popen[str]
    out_file: Path
    log_file: Path

    @property
    def log(self) -> str:
        """What it has said on stderr so far."""
        return self.log_file.read_text()

    def wait_for(self, text: str, timeout_s: float = PATIENCE_S) -> None:
        """Waits until it has said this on stderr."""
        self.wait_until(lambda log: text in log, repr(text), timeout_s)

    def wait_until(self, said: Callable[[str], bool], what: str, timeout_s: float = PATIENCE_S) -> None:
        """Waits until what it has said on stderr is as asked."""
        end_s = time.monotonic() + timeout_s
        while not said(self.log):
            assert self.process.poll() is None, self.log
            assert time.monotonic() < end_s, f"{what} was not said:\n{self.log}"
            time.sleep(0.02)

    def stop(self) -> None:
        """Asks it to end, as a supervisor does."""
        self.process.send_signal(signal.SIGTERM)

    def end(self, timeout_s: float = PATIENCE_S, codes: Collection[int] = WELL) -> dict[str, Any]:
        """Waits for its end, which has to be one of `codes`. Returns the document it printed."""
        code = self.process.wait(timeout_s)
        assert code in codes, self.log
        return checked(code, self.out_file.read_text())


@contextmanager
def started(folder: Path, *args: object, env: Mapping[str, str], json: bool = True) -> Iterator[Running]:
    """Starts a command, which prints JSON unless told otherwise; what is still running at the end of the scene is killed."""
    number = len(list(folder.glob("running.*.log")))
    out_file, log_file = folder / f"running.{number}.out", folder / f"running.{number}.log"
    with out_file.open("w") as out, log_file.open("w") as err:
        command = [*COLDFRAME, *map(str, args), *(["--json"] if json else [])]
        process = subprocess.Popen(command, stdout=out, stderr=err, text=True, cwd=ROOT, env=environment(env))
    try:
        yield Running(process, out_file, log_file)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE_S)


def run_until(
    folder: Path,
    *args: object,
    env: Mapping[str, str],
    said: Sequence[str] = (),
    true: Callable[[], object] = lambda: True,
    codes: Collection[int] = WELL,
) -> tuple[dict[str, Any], str]:
    """Runs a bot until it has said all this and something is true, then asks it to end. Returns its document and its log."""
    with started(folder, *args, env=env) as bot:
        for text in said:
            bot.wait_for(text)
        wait_until(lambda: bot.process.poll() is not None or true(), "what the scene is about")
        assert bot.process.poll() is None, bot.log
        bot.stop()
        summary = bot.end(codes=codes)
    assert "Traceback" not in bot.log
    return summary, bot.log


def wait_until(true: Callable[[], object], what: str, timeout_s: float = PATIENCE_S) -> float:
    """Waits until something is true. Returns how long that took, in seconds.

    It asks less and less often: what asks a venue uses up the weight of the address that the bot has too.
    """
    began_s, pause_s = time.monotonic(), 0.02
    while not true():
        assert time.monotonic() - began_s < timeout_s, f"{what}: not within {timeout_s} s"
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.1, 0.25)
    return time.monotonic() - began_s


def acknowledged(journal: Path) -> bool:
    """Whether the venue has acknowledged an order, by the journal of a bot under way."""
    return any(order.state in _ACKNOWLEDGED for order in fold(read_rows(journal)).orders.values())


def document(done: subprocess.CompletedProcess[str], codes: Collection[int] = WELL) -> dict[str, Any]:
    """The JSON document a command printed, after checking that it went well."""
    assert done.returncode in codes, done.stderr
    assert "Traceback" not in done.stderr
    return checked(done.returncode, done.stdout)


def checked(code: int, text: str) -> dict[str, Any]:
    """A document that says the exit code itself; a position without a stop stands in it where that is the code."""
    body: dict[str, Any] = json.loads(text)
    assert body.get("exit_code", 0) == code
    naked = [position for position in body.get("end", {}).get("positions", []) if position["unprotected"] != "0"]
    assert code != 4 or naked or body["end"]["disputed"]
    assert code != 0 or not naked
    return body


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@attrs.define
class VenueProcess:
    """A running `coldframe venue`: its process, and what it said about itself."""

    process: subprocess.Popen[str]
    said: dict[str, Any]

    @property
    def key_file(self) -> str:
        return str(self.said["keys"]["ed25519"]["private_key_file"])

    @property
    def api_key(self) -> str:
        return str(self.said["keys"]["ed25519"]["api_key"])

    def ask(self, path: str, **params: str | int) -> Any:
        """A signed REST question, with the HMAC key of the account."""
        return self.do("GET", path, **params)

    def do(self, verb: str, path: str, **params: str | int) -> Any:
        """A signed REST call."""
        hmac = self.said["keys"]["hmac"]
        signer = HmacSigner(Secret(hmac["api_key"]), Secret(hmac["secret"]))
        query = sign_query(params, signer, int(time.time() * 1000), RECV_WINDOW_MS)
        verify = self.said.get("verify", True)
        with httpx2.Client(verify=verify, trust_env=False, timeout=PATIENCE_S) as http:
            answer = http.request(verb, f"{self.said['rest']}{path}?{query}", headers={"X-MBX-APIKEY": hmac["api_key"]})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=PATIENCE_S)


@contextmanager
def venue(config: Path, *args: object, env: Mapping[str, str]) -> Iterator[VenueProcess]:
    """A venue process that is ready; it ends with the scene."""
    command = [*COLDFRAME, "venue", str(config), "--json", *map(str, args)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment(env))
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise AssertionError(process.communicate(timeout=PATIENCE_S)[1])
        said = json.loads(line)
        SCENE.learn(said)
        yield VenueProcess(process, said)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


MAKER = """id = "mm"
plugin = "maker"
symbols = ["BTCUSDT", "ETHUSDT"]
budget = { max_position = "1", max_notional = "20000" }
[strategies.params]
spread_bps = "1"
notional = "200"
"""


def live_config(
    folder: Path,
    served: VenueProcess,
    *,
    environment: str = "testnet",
    mode: str = "live",
    extra: str = "",
    orders: str = "",
    strategy: str = MAKER,
) -> Path:
    """A bot on a venue process: what it would be on the exchange, but for the addresses.

    `extra` stands in `[venue]`, `orders` in `[orders]`, `strategy` is one strategy's table.
    """
    grace = "" if "grace_ms" in orders else f"grace_ms = {GRACE_MS}\n"
    path = folder / "live.toml"
    keys = f'api_key = "env:SCENE_KEY"\nprivate_key = "file:{served.key_file}"\n' if mode == "live" else ""
    path.write_text(
        f"""config_version = 1
name = "scene"
[venue]
environment = "{environment}"
rest_url = "{served.said["rest"]}"
streams_url = "{served.said["streams"]}"
api_url = "{served.said["api"]}"
{extra}
[orders]
mode = "{mode}"
{keys}
{grace}{orders}
[[strategies]]
{strategy}
[risk]
max_order_notional = "1000"
max_gross_notional = "20000"
price_collar_pct = "5"
max_open_orders = 20
max_drawdown = "500"
"""
    )
    return path
