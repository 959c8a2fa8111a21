"""What has to be known before the engine can begin: the venue's time, its contracts, whether it knows us.

These are the only questions asked outside the engine; their answers become part of its set-up.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs
import trio

from coldframe.config.schema import Config
from coldframe.config.secrets import resolve
from coldframe.core.connectivity.latency_check import enough_ms
from coldframe.core.connectivity.signing import HmacSigner, Signer, signer_of_pem
from coldframe.enums import PositionMode
from coldframe.errors import AuthenticationRefused, Banned, ConfigError, DecodeError, LinkRefused, VenueUnavailable
from coldframe.model.instruments import Instruments
from coldframe.trio_io.clock import Clock
from coldframe.trio_io.error_text import one_line
from coldframe.trio_io.rest import RestClient
from coldframe.wire.codec import Census, decode
from coldframe.wire.codes import CodeClass, classify, describe
from coldframe.wire.reference import ExchangeInfo, RateLimit, ServerTime
from coldframe.wire.replies import AccountConfig
from coldframe.wire.rest import Answer, ban_end_ms

#: Pauses between the first tries to reach the venue, in seconds; after the last one we give up.
PAUSES_S: Final = (0.3, 0.7, 1.5)
_MODES: Final = {PositionMode.ONE_WAY: "one-way", PositionMode.HEDGE: "hedge"}


@attrs.frozen
class VenueInfo:
    """What the venue says about itself."""

    instruments: Instruments
    rate_limits: tuple[RateLimit, ...]
    body: bytes


def signer_of(config: Config, base: Path) -> Signer:
    """The signer that `[orders]` of a live run names. Raises `ConfigError`."""
    orders = config.orders
    assert orders.api_key is not None
    api_key = resolve(orders.api_key, base, "orders.api_key")
    if orders.secret is not None:
        return HmacSigner(api_key, resolve(orders.secret, base, "orders.secret"))
    assert orders.private_key is not None
    try:
        return signer_of_pem(api_key, resolve(orders.private_key, base, "orders.private_key"))
    except ValueError as error:
        raise ConfigError(f"orders.private_key: {error}") from None


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """The trust store: the system's, or one private certificate authority. There is no way to switch verification off."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"venue.ca_file: {ca_file} is not a certificate authority in PEM form: {error}") from None


async def ask_until_answered(rest: RestClient, clock: Clock, path: str, pauses_s: Sequence[float] = PAUSES_S) -> Answer:
    """A public question, asked a few times. Raises `VenueUnavailable`, or `Banned` when the venue sends us away."""
    answer, _ = await _ask(rest, clock, path, pauses_s)
    return answer


async def _ask(rest: RestClient, clock: Clock, path: str, pauses_s: Sequence[float]) -> tuple[Answer, int]:
    """The answer, and when the try that brought it was made, in milliseconds."""
    for pause_s in (*pauses_s, None):
        sent_ms = clock.now_ms()
        try:
            answer = await rest.ask("GET", path, {})
        except LinkRefused as error:
            if pause_s is None:
                raise VenueUnavailable(f"the venue cannot be reached: {error}") from None
            await trio.sleep(pause_s)
            continue
        refuse_ban(answer, clock)
        if answer.status == 200:
            return answer, sent_ms
        if pause_s is None:
            said = one_line(answer.fault.msg) if answer.fault else ""
            raise VenueUnavailable(f"the venue answers {path} with status {answer.status}: {said}".rstrip(": "))
        await trio.sleep(pause_s)
    raise AssertionError


def refuse_ban(answer: Answer, clock: Clock) -> None:
    """Raises `Banned` when an answer sends us away."""
    until_ms = ban_end_ms(answer, clock.now_ms())
    if until_ms is not None:
        wait_s = max(until_ms - clock.now_ms(), 0) / 1000
        text = f"the venue answers {answer.status}: banned for another {wait_s:.0f} s; try again after that"
        raise Banned(text, until_ms)


async def venue_offset_ms(rest: RestClient, clock: Clock, pauses_s: Sequence[float] = PAUSES_S) -> int:
    """How far the venue's clock is ahead of ours."""
    answer, sent_ms = await _ask(rest, clock, "/fapi/v1/time", pauses_s)
    middle_ms = (sent_ms + clock.now_ms()) // 2
    try:
        return decode(ServerTime, answer.body, Census()).server_time - middle_ms
    except DecodeError:
        raise VenueUnavailable("the server at the venue's address does not answer as an exchange: no time") from None


async def describe_venue(rest: RestClient, clock: Clock) -> VenueInfo:
    """The contracts and limits of the venue."""
    answer = await ask_until_answered(rest, clock, "/fapi/v1/exchangeInfo")
    try:
        info = decode(ExchangeInfo, answer.body, Census())
    except DecodeError as error:
        raise VenueUnavailable(f"the server at the venue's address does not answer as an exchange: {error}") from None
    return VenueInfo(Instruments.of(info.symbols), tuple(info.rate_limits), answer.body)


async def check_account(
    rest: RestClient, clock: Clock, position_mode: PositionMode = PositionMode.ONE_WAY, environment: str = ""
) -> AccountConfig:
    """Whether the venue knows our key, lets it trade, and has the account in the modes we trade in.

    Returns what the venue says about the account. With an `environment`, a refused key is also taken for one of the other.
    Raises `AuthenticationRefused`, `ConfigError`, `VenueUnavailable` or `Banned`.
    """
    asked_ms = clock.now_ms()
    try:
        answer = await rest.ask("GET", "/fapi/v1/accountConfig", {})
    except LinkRefused as error:
        raise VenueUnavailable(f"the venue cannot be reached: {error}") from None
    refuse_ban(answer, clock)
    fault = answer.fault
    if fault is not None:
        text = f"{describe(fault.code)}: {one_line(fault.msg)}"
        if classify(fault.code) in (CodeClass.FATAL, CodeClass.LOG_ON, CodeClass.OUR_BUG) or answer.status in (401, 403):
            raise AuthenticationRefused(
                f"the venue refuses the API key: {text}; check orders.api_key, its private key and environment"
                + _other_environment(environment)
            )
        trip_ms = clock.now_ms() - asked_ms
        if classify(fault.code) is CodeClass.CLOCK and trip_ms >= rest.recv_window_ms:
            raise ConfigError(
                f"orders.recv_window_ms: round trip to the venue is {trip_ms / 1000:.1f} s;"
                f" {rest.recv_window_ms} is too small ({text}): set it to {enough_ms(trip_ms)}"
            )
        raise VenueUnavailable(f"the venue does not report the account: {text}")
    try:
        account = decode(AccountConfig, answer.body, Census())
    except DecodeError as error:
        raise VenueUnavailable(f"the venue's report of the account cannot be read: {error}") from None
    if not account.can_trade:
        raise AuthenticationRefused("the API key may not trade; give it the futures permission")
    findings = _wrong_modes(account, position_mode)
    if findings:
        raise ConfigError(*findings)
    return account


def _wrong_modes(account: AccountConfig, position_mode: PositionMode) -> list[str]:
    """What the account is set to otherwise than we trade; `coldframe.core.reconciliation.account_settings` goes on comparing
    during the run."""
    found = []
    actual = PositionMode.HEDGE if account.dual_side_position else PositionMode.ONE_WAY
    if actual is not position_mode:
        found.append(
            f'the account is in {_MODES[actual]} mode, but orders.position_mode is "{position_mode}": the venue would refuse every'
            f" order with {describe(-4061)}; change one of the two"
        )
    if account.multi_assets_margin:
        found.append(
            "the account is in multi-assets mode, in which other assets than dollars stand behind positions: that is not supported;"
            " switch it to single-asset mode (POST /fapi/v1/multiAssetsMargin, or in the settings of the exchange's own page)"
        )
    return found


def _other_environment(environment: str) -> str:
    """The commonest reason by far for a key that is refused."""
    other = {"testnet": "mainnet", "mainnet": "testnet"}.get(environment)
    return f" (this is {environment}: a key made for {other} is not known here)" if other else ""
