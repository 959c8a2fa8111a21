"""Whole processes for the scenes: `coldframe` as a user starts it, and a venue process beside it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import httpx2

from coldframe.core.signing import HmacSigner, sign_query
from coldframe.secret import Secret

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs"
COLDFRAME = [sys.executable, "-m", "coldframe.cli"]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    return {**os.environ, "PYTHONWARNINGS": "error::ResourceWarning", **(extra or {})}


def coldframe(*args: object, timeout_s: float = 60, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs one command to its end."""
    command = [*COLDFRAME, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, cwd=ROOT, env=environment(env), check=False)


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The JSON document a command printed, after checking that it went well."""
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    body: dict[str, Any] = json.loads(done.stdout)
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
        hmac = self.said["keys"]["hmac"]
        signer = HmacSigner(Secret(hmac["api_key"]), Secret(hmac["secret"]))
        query = sign_query(params, signer, int(time.time() * 1000), 5000)
        verify = self.said.get("verify", True)
        with httpx2.Client(verify=verify, trust_env=False, timeout=10) as http:
            answer = http.get(f"{self.said['rest']}{path}?{query}", headers={"X-MBX-APIKEY": hmac["api_key"]})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=10)


@contextmanager
def venue(config: Path, *args: object, env: Mapping[str, str]) -> Iterator[VenueProcess]:
    """A venue process that is ready; it ends with the scene."""
    command = [*COLDFRAME, "venue", str(config), "--json", *map(str, args)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment(env))
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise AssertionError(process.communicate(timeout=10)[1])
        yield VenueProcess(process, json.loads(line))
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def live_config(folder: Path, served: VenueProcess, *, environment: str = "testnet", mode: str = "live", extra: str = "") -> Path:
    """A bot on a venue process: what it would be on the exchange, but for the addresses."""
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
[[strategies]]
id = "mm"
plugin = "maker"
symbols = ["BTCUSDT", "ETHUSDT"]
budget = {{ max_position = "1", max_notional = "20000" }}
[strategies.params]
spread_bps = "1"
notional = "200"
[risk]
max_order_notional = "1000"
max_gross_notional = "20000"
price_collar_pct = "5"
max_open_orders = 20
max_drawdown = "500"
"""
    )
    return path
