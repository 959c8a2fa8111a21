"""What strategies have saved: one small value each, over all runs on a journal. The value itself is the strategy's own affair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from coldframe.model.saved_state import frozen_of, text_of


class SavedStates:
    """The saved values by strategy, also of strategies that are not part of this bot. `past` is what an earlier run has left."""

    def __init__(self, past: Mapping[str, Any]) -> None:
        self._texts = {strategy: _text_of_plain(value) for strategy, value in past.items()}
        #: Whose values have changed since `take_changed` was last called.
        self.unrecorded: dict[str, None] = {}

    def text(self, strategy: str) -> bytes:
        """What a strategy has saved last, as JSON; `null` when that is nothing."""
        return self._texts.get(strategy, b"null")

    def save(self, strategy: str, value: object) -> bool:
        """A strategy saves a value. Returns whether that is another one. Raises `ValueError` for what cannot be saved."""
        text = text_of(value)
        if text == self.text(strategy):
            return False
        self._texts[strategy] = text
        self.unrecorded[strategy] = None
        return True

    def take_changed(self) -> dict[str, Any]:
        """The values that have changed since this was last asked, for rows."""
        changed, self.unrecorded = self.unrecorded, {}
        return {strategy: msgspec.json.decode(self._texts[strategy]) for strategy in changed}

    def everything(self) -> dict[str, Any]:
        """All values, for a checkpoint."""
        return {strategy: msgspec.json.decode(text) for strategy, text in self._texts.items()}


def plain_of(value: Any) -> Any:
    """A value as a row holds it, told from anything that no strategy can have saved: that raises what `fold` takes for damage."""
    return msgspec.json.decode(_text_of_plain(value))


def _text_of_plain(value: Any) -> bytes:
    return text_of(frozen_of(msgspec.json.encode(value)))
