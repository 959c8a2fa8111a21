"""What a class did not take of a message: unknown keys are kept in `extra` and counted, doubled ones are refused.

Every key of the text is counted, and every field that the message took. Where the two agree, nothing was left over. Where they do
not, keys that messages of this class have had before are read by a second decoder made for just those, at the price of known keys:
on the day the venue adds a key, its messages cost a tenth more and not fifty times as much. Only what neither explains goes to the
slow reading of `strict`, which then remembers its keys.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import chain
from typing import Any, Final, TypedDict, get_args, get_origin

import attrs
import msgspec
from msgspec import UNSET

from coldframe.enums import OpenEnum
from coldframe.errors import DecodeError
from coldframe.units import NUMBER, places
from coldframe.wire.streams import Message
from coldframe.wire.strict import MOST_NESTED, NESTING, fraction, keys_in, keys_inside, strictly

#: The census keeps this many different unknown words and keys, so that a hostile peer cannot grow it.
_CENSUS_LIMIT: Final = 1000
#: So many unknown keys are remembered for a class, and only those that look like keys: a decoder made for an empty one, or for one
#: with letters beyond ASCII, takes keys for each other (msgspec 0.22).
_REMEMBERED: Final = 64
_MEMORABLE: Final = re.compile(r"[ !#-\[\]-~]{1,64}")
_set: Final = msgspec.structs.force_setattr


class Census:
    """How often the venue used a key or word that Coldframe does not know: `unknown["DepthUpdate.zz"]`."""

    def __init__(self) -> None:
        #: What `unknown` counts. A plain dict: to change a `Counter` takes five times as long, for every message with a new key.
        self.counts: dict[str, int] = {}

    @property
    def unknown(self) -> Counter[str]:
        return Counter(self.counts)

    def count(self, what: str) -> None:
        counts = self.counts
        if what in counts:
            counts[what] += 1
        elif len(counts) < _CENSUS_LIMIT:
            counts[what] = 1


# -- plans ------------------------------------------------------------------------------------------------------------


@attrs.define
class Plan:
    """What has to be looked at after a class was decoded: worked out once per class."""

    decoder: msgspec.json.Decoder[Any]
    #: How many fields are always there, and which may be absent.
    always: int
    optional: tuple[str, ...]
    #: Fields that hold messages, alone or in a list; fields that hold unread JSON.
    nested: tuple[str, ...]
    raw: tuple[str, ...]
    #: All fields: key and name.
    known: Mapping[str, str]
    #: Fields that hold open words, alone or in a list, with their names in the census.
    words: tuple[tuple[str, str], ...]
    #: Fields that hold texts which have to be numbers, and were not checked when they were decoded.
    numbers: tuple[str, ...]
    #: Whether there are price levels to check here.
    levels: bool
    #: Whether there are open words, and bare numbers, to check here or in a nested message.
    wordy: bool
    bare: bool
    #: Unknown keys that messages of this class have had.
    seen: Seen


_PLANS: Final[dict[type[Message], Plan]] = {}


def plan_of(kind: type[Message]) -> Plan:
    """The plan of a class of messages."""
    plan = _PLANS.get(kind)
    if plan is None:
        fields = [field for field in msgspec.structs.fields(kind) if field.name != "extra"]
        plan = _PLANS[kind] = Plan(
            msgspec.json.Decoder(kind),
            sum(field.required for field in fields),
            tuple(field.name for field in fields if not field.required),
            tuple(field.name for field in fields if _holds(field.type, Message)),
            tuple(field.name for field in fields if _holds(field.type, msgspec.Raw)),
            {field.encode_name: field.name for field in fields},
            tuple((field.name, f"{kind.__name__}.{field.encode_name}") for field in fields if _holds(field.type, OpenEnum)),
            tuple(field.name for field in fields if _is_quick_number(field.type)),
            any(_holds(field.type, tuple) for field in fields),
            _contains(kind, OpenEnum),
            _contains(kind, Decimal),
            Seen(kind.__name__),
        )
    return plan


def _contains(kind: type[Message], wanted: type) -> bool:
    fields = msgspec.structs.fields(kind)
    return any(_holds(field.type, wanted) for field in fields) or any(
        _contains(inner, wanted) for field in fields for inner in _leaves(field.type) if issubclass(inner, Message)
    )


def _holds(annotation: Any, wanted: type) -> bool:
    return any(issubclass(leaf, wanted) for leaf in _leaves(annotation))


def _is_quick_number(annotation: Any) -> bool:
    """Whether an annotation mentions a number that is left to the codec (`coldframe.wire.streams.QuickNumber`)."""
    if isinstance(annotation, msgspec.Meta):
        return bool(annotation.extra and annotation.extra.get("number"))
    return any(_is_quick_number(part) for part in get_args(annotation))


def _leaves(annotation: Any) -> Iterator[type]:
    """The classes that an annotation such as `list[X] | UnsetType` mentions; a price level counts as `tuple`."""
    if get_origin(annotation) is tuple and Ellipsis not in get_args(annotation):
        yield tuple
    elif get_args(annotation):
        yield from chain.from_iterable(_leaves(part) for part in get_args(annotation))
    elif isinstance(annotation, type):
        yield annotation


# -- did the class take everything? -----------------------------------------------------------------------------------


def settle(message: Message, plan: Plan, payload: bytes, census: Census) -> None:
    """Puts what the class did not take into `extra`, at every depth, and counts it. Raises `DecodeError` for a doubled key,
    and for what stands where a bare number should."""
    if not plan.bare:
        # Every key has a colon, so there are never more keys than colons; `keys_in` knows better when a text holds some, too.
        taken = fields_taken(message, plan)
        left_over = payload.count(b":") - taken
        if not left_over:
            return
        seen = plan.seen
        if keys_in(payload) == taken if seen.decode is None else seen.take(message, payload, left_over, taken, census):
            return
    _read_slowly(message, plan, payload, census)


def fields_taken(message: Message, plan: Plan) -> int:
    """How many keys of the text a message has taken, at all depths."""
    count = plan.always
    for name in plan.optional:
        if getattr(message, name) is not UNSET:
            count += 1
    for name in plan.raw:
        value = getattr(message, name)
        if value is not UNSET:
            count += keys_in(bytes(value))
    for name in plan.nested:
        value = getattr(message, name)
        if isinstance(value, Message):
            count += fields_taken(value, plan_of(type(value)))
        elif isinstance(value, list | tuple):
            count += sum(fields_taken(row, plan_of(type(row))) for row in value)
    return count


# -- keys seen before -------------------------------------------------------------------------------------------------


@attrs.define
class Seen:
    """Unknown keys that messages of a class have had, and a decoder that reads just them out of the next ones."""

    path: str
    #: The keys, with their names in the census.
    keys: dict[str, str] = attrs.field(factory=dict)
    #: The same of the messages in the fields of this one, by key.
    inside: dict[str, Seen] = attrs.field(factory=dict)
    #: The fields that lead to those: key, name of the field, and what is known inside.
    ways: tuple[tuple[str, str, Seen], ...] = ()
    #: The names of `keys` in the census.
    labels: tuple[str, ...] = ()
    #: Reads just those, by their fields.
    decode: Callable[[bytes], dict[str, Any]] | None = None

    def take(self, message: Message, payload: bytes, left_over: int, taken: int, census: Census) -> bool:
        """Gives the message its unknown keys, if those seen before are all that it had beyond the ones it took.

        `left_over` are the colons of the payload beyond the keys that were `taken`. Where this is not done, what it may have given
        already is given anew by the slow reading.
        """
        assert self.decode is not None
        try:
            rest = self.decode(payload)
            if self.ways:
                given: list[str] = []
                count = self._give(message, rest, MOST_NESTED, given)
                labels: Sequence[str] = given
            else:
                labels = self.labels if len(rest) == len(self.labels) else [self.keys[key] for key in rest]
                count = len(rest)
                for value in rest.values():
                    if value.__class__ in NESTING:
                        count += keys_inside(value, MOST_NESTED - 1)
                _set(message, "extra", rest or None)
        except (ValueError, RecursionError):  # a MsgspecError is a ValueError
            return False  # the slow reading says what is wrong
        if count != left_over and count != keys_in(payload) - taken:
            return False
        counts = census.counts
        for label in labels:
            if label in counts:
                counts[label] += 1
            else:
                census.count(label)
        return True

    def _give(self, message: Message, rest: dict[str, Any], deeper: int, labels: list[str]) -> int:
        """Gives a message, and those inside it, their unknown keys out of `rest`; returns how many those are, at all depths.

        Raises `ValueError` when their values are nested too deeply.
        """
        count = 0
        for key, name, seen in self.ways:
            inner = rest.pop(key, None)
            if inner.__class__ is list:
                for row, row_rest in zip(getattr(message, name), inner, strict=True):
                    if row_rest:
                        count += seen._give(row, row_rest, deeper - 2, labels)
            elif inner:
                count += seen._give(getattr(message, name), inner, deeper - 1, labels)
        if rest:
            for key, value in rest.items():
                labels.append(self.keys[key])
                if value.__class__ in NESTING:
                    count += keys_inside(value, deeper - 1)
            # Written once, before anything else has seen the message.
            _set(message, "extra", rest)
            count += len(rest)
        return count

    def keep(self, message: Message, extra: dict[str, Any], census: Census) -> None:
        """Puts unknown keys into the message, and counts them."""
        keys, count = self.keys, census.count
        for key in extra:
            count(keys[key] if key in keys else self._label(key))
        # Written once, before anything else has seen the message.
        _set(message, "extra", extra or None)

    def remember(self, found: Iterable[tuple[tuple[str, ...], str]], kind: type[Message]) -> None:
        """Learns keys by the fields that lead to them, as far as the bounds allow; makes the decoder anew if there are new ones."""
        changed = False
        for fields, key in found:
            if self._size < _REMEMBERED and _MEMORABLE.fullmatch(key):
                changed |= self._learn(fields, key)
        if changed:
            self.decode = msgspec.json.Decoder(self._shape(kind), float_hook=fraction).decode

    @property
    def _size(self) -> int:
        return len(self.keys) + sum(seen._size for seen in self.inside.values())

    def _label(self, key: str) -> str:
        return f"{self.path}.{key[:40]}"

    def within(self, field: str) -> Seen:
        """The same of the messages in a field of this one."""
        return self.inside.get(field) or Seen(f"{self.path}.{field}")

    def _learn(self, fields: tuple[str, ...], key: str) -> bool:
        if fields:
            seen = self.inside[fields[0]] = self.within(fields[0])
            return seen._learn(fields[1:], key)
        fresh = key not in self.keys
        self.keys[key] = self._label(key)
        return fresh

    def _shape(self, kind: type[Message]) -> Any:
        """A type of just the unknown keys of messages of class `kind`, with the fields on the way to them; learns those."""
        keys: dict[str, Any] = dict.fromkeys(self.keys, Any)
        for key, seen in self.inside.items():
            inner: Any = seen._shape(_inner(kind, key))
            keys[key] = list[inner] | inner | None
        known = plan_of(kind).known
        self.labels = tuple(self.keys.values())
        self.ways = tuple((key, known[key], seen) for key, seen in self.inside.items())
        make: Any = TypedDict  # type checkers want to read its keys in the source
        return make(f"Unknown{kind.__name__}", keys, total=False)


def _inner(kind: type[Message], key: str) -> type[Message]:
    """The class of the messages in a field."""
    annotation = next(field.type for field in msgspec.structs.fields(kind) if field.encode_name == key)
    return next(leaf for leaf in _leaves(annotation) if issubclass(leaf, Message))


# -- the slow reading -------------------------------------------------------------------------------------------------


def _read_slowly(message: Message, plan: Plan, payload: bytes, census: Census) -> None:
    unknown: list[tuple[tuple[str, ...], str]] = []
    try:
        _keep_unknown((), plan.seen, message, strictly(payload), unknown, census)
    except ValueError as error:
        raise DecodeError(str(error), payload) from None
    plan.seen.remember(unknown, type(message))


def _keep_unknown(
    fields: tuple[str, ...], seen: Seen, message: Message, body: Any, unknown: list[tuple[tuple[str, ...], str]], census: Census
) -> None:
    known = plan_of(type(message)).known
    extra = {key: value for key, value in body.items() if key not in known}
    unknown += [(fields, key) for key in extra]
    seen.keep(message, extra, census)
    for key, name in known.items():
        value, given = getattr(message, name), body.get(key)
        if isinstance(value, Message) and isinstance(given, dict):
            _keep_unknown((*fields, key), seen.within(key), value, given, unknown, census)
        elif isinstance(value, list | tuple) and isinstance(given, list):
            for row, row_given in zip(value, given, strict=True):
                if isinstance(row, Message):
                    _keep_unknown((*fields, key), seen.within(key), row, row_given, unknown, census)
        elif isinstance(value, Decimal):
            _check_bare(value, given)


def _check_bare(value: Decimal, given: Any) -> None:
    """A bare number is bounded like all others; one in quotes has to look like one, since `Decimal` takes "1_0" and "NaN"."""
    fits = NUMBER.fullmatch(given) if isinstance(given, str) else value.adjusted() < 24 and places(value) <= 18
    if not fits:
        raise ValueError(f"not a plain decimal number: {str(given)[:40]}")


# -- words ------------------------------------------------------------------------------------------------------------


def count_words(message: Message, plan: Plan, census: Census) -> None:
    """Counts the unknown words of a message."""
    for name, where in plan.words:
        value = getattr(message, name)
        for word in value if isinstance(value, list) else (value,):
            if isinstance(word, OpenEnum) and not word.known:
                census.count(f"{where}={str(word)[:40]}")
    for name in plan.nested:
        value = getattr(message, name)
        for inner in value if isinstance(value, list | tuple) else (value,):
            if isinstance(inner, Message) and (deeper := plan_of(type(inner))).wordy:
                count_words(inner, deeper, census)
