"""Recordings on disk as the market of a venue."""

from __future__ import annotations

from pathlib import Path

from coldframe.data.recordings import read_recording
from coldframe.exchange.recorded_market import RecordedMarket
from coldframe.exchange.recording_info import RecordingInfo, look_through
from coldframe.exchange.settings import EmbeddedVenue as Settings
from coldframe.units import NS_PER_MS


def read_recording_info(path: str | Path) -> RecordingInfo:
    """Looks through the recording at `path`. Raises `ConfigError` when it cannot be read or holds no market."""
    return look_through(read_recording(path), str(path))


def recorded_market(settings: Settings, start_ms: int) -> RecordedMarket:
    """The market of the recording that the settings name. Raises `ConfigError` when it cannot be played."""
    path = settings.recording or ""
    return RecordedMarket(settings, start_ms, read_recording_info(path), read_recording(path))


def backtest_market(settings: Settings) -> tuple[RecordedMarket, RecordingInfo, int]:
    """The market of the same recording at the times when it was recorded, what it holds, and when it begins (epoch ms).

    Raises `ConfigError` likewise.
    """
    path = settings.recording or ""
    info = read_recording_info(path)
    begins_ms = info.first_ns // NS_PER_MS
    return RecordedMarket(settings, begins_ms, info, read_recording(path), begins_ms), info, begins_ms
