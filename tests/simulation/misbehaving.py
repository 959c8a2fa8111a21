"""Ways in which the code of a plugin can misbehave, each as what its hook does when it is let loose."""

from __future__ import annotations

import decimal
import gc
import itertools
import locale
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

from coldframe import Place, Quotes, SaveState, Side, WakeMe
from coldframe.errors import ConfigError, InvariantBroken

#: A misdeed: given event and view, it returns what the hook returns.
Misdeed = Callable[[Any, Any], object]


def raises(error: Callable[[], BaseException]) -> Misdeed:
    def misdeed(event: Any, view: Any) -> object:
        raise error()

    return misdeed


class Wordless(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt

    __repr__ = __str__


class Lying:
    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[object]:
        return itertools.repeat(WakeMe(1_000))


def half_way(event: Any, view: Any) -> Iterator[object]:
    yield WakeMe(1_000)
    raise ValueError("half way")


def recurses(event: Any, view: Any) -> object:
    return recurses(event, view)


def writes(event: Any, view: Any) -> object:
    view.orders()[0].quantity = Decimal(0)
    return None


def sets_decimals(event: Any, view: Any) -> None:
    context = decimal.getcontext()
    context.prec, context.Emax, context.Emin = 1, 0, 0
    context.traps[decimal.Inexact] = True
    decimal.setcontext(decimal.Context(prec=2))


def lowers_limit(event: Any, view: Any) -> None:
    sys.setrecursionlimit(120)


def sets_the_rest(event: Any, view: Any) -> None:
    """What the whole process shares; a test puts it back."""
    locale.setlocale(locale.LC_ALL, "C")
    random.seed(7)
    os.environ["XDG_STATE_HOME"] = "elsewhere"
    os.chdir("..")
    warnings.simplefilter("error")
    gc.disable()


def forks(event: Any, view: Any) -> None:
    child = os.fork()
    if child:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 70


class Sly(type):
    """A class that ends the process when it is compared, or looked up."""

    def __eq__(cls, other: object) -> bool:
        raise SystemExit("compared")

    def __hash__(cls) -> int:
        raise SystemExit("looked up")


class Slyest(metaclass=Sly):
    pass


def malformed(event: Any, view: Any) -> list[object]:
    buy = {"symbol": "BTCUSDT", "side": Side.BUY, "quantity": Decimal(1)}
    wrong: dict[str, Any] = {"quantity": Decimal("sNaN"), "tag": "x" * 65, "symbol": Slyest(), "price": Slyest}
    saves: list[Any] = [1.5, {"a": [Slyest()]}, Slyest, {1: 1}, ["x"] * 100_000]
    return [*(Place(**{**buy, name: value}) for name, value in wrong.items()), *(SaveState(value) for value in saves)]


def nonsense(event: Any, view: Any) -> list[object]:
    wrong = Place(symbol="BTCUSDT", side=Side.BUY, quantity=Decimal("NaN"), price=0.5)  # type: ignore[arg-type]
    return [None, "rubbish", 5, object(), Slyest, wrong, Quotes("BTCUSDT", [5])]  # type: ignore[list-item]


#: Muted, by its number in docs/misbehaviour.md.
MUTED: Final[dict[int, Misdeed]] = {
    1: raises(lambda: ValueError("no")),
    2: raises(lambda: SystemExit(0)),
    3: raises(KeyboardInterrupt),
    4: raises(GeneratorExit),
    5: raises(lambda: InvariantBroken("not the bot's")),
    6: raises(Wordless),
    8: half_way,
    9: recurses,
    10: lambda event, view: bytearray(1 << 62),
    18: writes,
}
#: Not muted: refused, cut off, or undone.
ENDURED: Final[dict[int, Misdeed]] = {
    13: nonsense,
    14: malformed,
    15: lambda event, view: [WakeMe(1_000, "again")] * 100_000,
    16: lambda event, view: itertools.repeat(WakeMe(1_000, "again")),
    17: lambda event, view: Lying(),
    20: sets_decimals,
    21: lowers_limit,
    22: sets_the_rest,
    23: lambda event, view: [WakeMe(0, str(number)) for number in range(100)],
    25: forks,
}
#: More that is raised, for every hook.
RAISED: Final = (
    ValueError,
    SystemExit,
    KeyboardInterrupt,
    GeneratorExit,
    MemoryError,
    Wordless,
    lambda: ConfigError("not the bot's"),
)
