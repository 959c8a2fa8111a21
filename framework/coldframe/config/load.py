"""From a TOML file to the configuration: strict, and with every finding at once as `file:line: path: what is wrong`.

Nothing is converted silently: a number with a point must be quoted so that it stays exact, text is not a number, an unknown key is
an error that suggests the one that was meant.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path as FilePath
from typing import Any, Final, TypeVar, cast

import attrs
import cattrs
import tomli
from cattrs.errors import (
    AttributeValidationNote,
    ForbiddenExtraKeysError,
    IterableValidationNote,
    StructureHandlerNotFoundError,
)
from cattrs.gen import make_dict_structure_fn, override

from coldframe.config.lines import Path, line_of, lines_of
from coldframe.config.schema import Config
from coldframe.errors import ConfigError
from coldframe.localfiles import read_file
from coldframe.renamed import KEYS, note_renamed
from coldframe.tables import PATH, SECRET, Unfit
from coldframe.units import exact

T = TypeVar("T")

#: What structuring raises when a value does not fit; anything else is a bug.
_REFUSALS: Final = (ExceptionGroup, ForbiddenExtraKeysError, ValueError, KeyError)


#: Bytes; a configuration is a few thousand.
_LARGEST: Final = 1_000_000


@attrs.frozen
class Source:
    """A configuration file: where it is, and where in it each key stands."""

    path: FilePath
    lines: dict[Path, int]

    @property
    def base(self) -> FilePath:
        """The folder that relative paths in the file count from."""
        return self.path.parent

    def finding(self, path: Path, text: str) -> str:
        """One complete line about a key."""
        where = f"{self.path}:{line_of(self.lines, path)}"
        return f"{where}: {dotted(path)}: {text}" if path else f"{where}: {text}"


@attrs.frozen
class Loaded:
    """A configuration with its source, and the parsed document for plugins' own checks.

    When `findings` is not empty, `config` is what is left without the tables that do not fit: good enough to look for more
    mistakes in one pass, not to run. `kept` tells where in the file the elements of its lists stand.
    """

    config: Config
    source: Source
    document: Mapping[str, Any]
    findings: tuple[str, ...] = ()
    kept: Mapping[str, Sequence[int]] = {}
    #: The file as it was read, and what the command line has changed of its `[venue.embedded]`.
    text: str = ""
    changes: Mapping[str, Any] = {}

    @property
    def described(self) -> str:
        """The bot and its file, as told to people who look at what it holds."""
        return f"bot {self.config.name} of {self.source.path}"

    def at(self, section: str, index: int, *path: str | int) -> Path:
        """The path in the file of something inside the element `index` of a list of tables."""
        return (section, self.kept[section][index], *path)


def _text_of(path: FilePath) -> str:
    """The text of a configuration file. Reads at most 1 MB, so that devices and wrong files fail at once."""
    try:
        raw = read_file(path, _LARGEST, regular=False)
    except OSError as error:
        if error.errno != errno.EFBIG:
            raise
        raise ConfigError(f"{path}: larger than {_LARGEST // 1000} kB: not a configuration") from None
    return raw.decode("utf-8-sig").replace("\r\n", "\n")


def load(path: FilePath) -> Loaded:
    """Reads a configuration. Raises `ConfigError` when the file is not TOML, or nothing of it can be understood."""
    try:
        text = _text_of(path)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    return load_text(text, path)


def load_text(text: str, path: FilePath) -> Loaded:
    """Reads the text of a configuration whose file is, or was, at `path`. Raises `ConfigError` as `load` does."""
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise ConfigError(f"{path}:{error.lineno}: not TOML: {error.msg} (column {error.colno})") from None
    except (RecursionError, ValueError) as error:
        # Nested too deeply, or a number too long for the parser, which then does not say where.
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    source = Source(path, lines_of(text))
    config, kept, wrong = _structure_what_fits(_with_new_names(document, source))
    findings = tuple(dict.fromkeys(source.finding(at, said) for at, said in wrong))
    if config is None:
        raise ConfigError(*findings)
    return Loaded(_with_absolute_paths(config, source.base), source, document, findings, kept, text)


def _with_new_names(document: Mapping[str, Any], source: Source) -> dict[str, Any]:
    """The document under the names of now, with a notice for each old one. A key that stands there under both names is left."""
    renamed = dict(document)
    for path, new in KEYS.items():
        *tables, old = path
        table = renamed
        for name in tables:
            inner = table.get(name)
            if not isinstance(inner, dict):
                break
            table[name] = table = dict(inner)
        else:
            if old in table and new not in table:
                table[new] = table.pop(old)
                source.lines[(*tables, new)] = line_of(source.lines, path)
                note_renamed(source.finding(path, f"the key {old}"), new, 1)
    return renamed


def structure(raw: object, kind: type[T], source: Source, at: Path) -> T:
    """A value of the file as an instance of `kind`. Raises `ConfigError` with every finding below the path `at`."""
    try:
        return _CONVERTER.structure(raw, kind)
    except _REFUSALS as error:
        findings = [source.finding((*at, *path), text) for path, text in _flatten(error, ())]
        raise ConfigError(*dict.fromkeys(findings)) from None
    except (StructureHandlerNotFoundError, NameError) as error:
        # The class of a plugin wants what no file can give.
        raise ConfigError(source.finding(at, f"{getattr(kind, '__name__', kind)} cannot be read from a file: {error}")) from None


def _structure_what_fits(document: Mapping[str, Any]) -> tuple[Config | None, dict[str, list[int]], list[tuple[Path, str]]]:
    """The configuration made of the tables that fit, where in the file its list elements stand, and what is wrong with the rest."""
    fields = attrs.fields(Config)
    every = {field.name: list(range(len(document[field.name]))) for field in fields if isinstance(document.get(field.name), list)}
    try:
        return _CONVERTER.structure(document, Config), every, []
    except _REFUSALS as error:
        wrong = list(_flatten(error, ()))
    rest: dict[str, Any] = {}
    kept: dict[str, list[int]] = {}
    for field in fields:
        raw = document.get(field.name)
        if isinstance(raw, list):
            kept[field.name] = [index for index, item in enumerate(raw) if _fits([item], field.type)]
            rest[field.name] = [raw[index] for index in kept[field.name]]
        elif raw is not None and _fits(raw, field.type):
            rest[field.name] = raw
    rest = {"config_version": 1, "name": "unnamed"} | rest
    return (_CONVERTER.structure(rest, Config) if _fits(rest, Config) else None), kept, wrong


def _fits(raw: Any, kind: Any) -> bool:
    try:
        _CONVERTER.structure(raw, kind)
    except _REFUSALS:
        return False
    return True


def dotted(path: Path) -> str:
    """A path for people: `strategies[0].budget.max_position`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


# -- strict structuring -----------------------------------------------------------------------------------------------


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
    for kind, word in ((str, "a text"), (int, "a whole number"), (bool, "true or false")):
        converter.register_structure_hook(kind, _strict(kind, word))
    converter.register_structure_hook(Decimal, _decimal)
    converter.register_structure_hook_func(lambda kind: kind == dict[str, Any], _table)
    converter.register_structure_hook_func(_is_mapping, lambda value, kind: _mapping(converter, value, kind))
    converter.register_structure_hook_func(_is_list, lambda value, kind: _list(converter, value, kind))
    converter.register_structure_hook_factory(attrs.has, lambda kind: _attrs_hook(converter, kind))
    return converter


def _strict(kind: type, word: str) -> Any:
    def hook(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise ValueError(f"must be {word}, not {_shown(value)}")
        return value

    return hook


def _decimal(value: Any, _: Any) -> Decimal:
    if type(value) is int:
        return Decimal(value)
    if not isinstance(value, str | float):
        raise ValueError(f"must be a number, not {_shown(value)}")
    try:
        # What a float is told to become has to be a number that would be taken.
        number = exact(value if isinstance(value, str) else f"{Decimal(str(value)):f}")
    except ValueError:
        raise ValueError(f"must be a plain decimal number, not {_shown(value)}") from None
    if isinstance(value, float):
        raise ValueError(f'must be quoted so that it stays exact: "{number:f}"')
    return number


def _table(value: Any, _: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"must be a table, not {_shown(value)}")
    return value


def _is_mapping(kind: Any) -> bool:
    """A table whose keys are names and whose values are all of one kind."""
    return getattr(kind, "__origin__", None) is dict and kind != dict[str, Any]


def _mapping(converter: cattrs.Converter, value: Any, kind: Any) -> Any:
    found, wrong = {}, []
    for name, entry in _table(value, kind).items():
        try:
            found[name] = converter.structure(entry, kind.__args__[1])
        except _REFUSALS as error:
            error.add_note(AttributeValidationNote(f"key {name}", name, kind.__args__[1]))
            wrong.append(error)
    if wrong:
        raise ExceptionGroup("keys", wrong)
    return found


def _is_list(kind: Any) -> bool:
    """A list, or a tuple as long as may be; a tuple of a fixed form is not one."""
    origin = getattr(kind, "__origin__", None)
    return origin is list or (origin is tuple and kind.__args__[1:] == (...,))


def _list(converter: cattrs.Converter, value: Any, kind: Any) -> Any:
    if not isinstance(value, list):
        raise ValueError(f"must be a list, not {_shown(value)}")
    item, container = kind.__args__[0], kind.__origin__
    found, wrong = [], []
    for index, element in enumerate(value):
        try:
            found.append(converter.structure(element, item))
        except _REFUSALS as error:
            error.add_note(IterableValidationNote(f"element {index}", index, item))
            wrong.append(error)
    if wrong:
        raise ExceptionGroup("elements", wrong)
    return container(found)


def _attrs_hook(converter: cattrs.Converter, kind: Any) -> Any:
    """Structures a table key by key, each with its check, so that one wrong key does not hide another."""
    checks = {
        field.name: override(struct_hook=_checked(converter, field)) for field in attrs.fields(kind) if field.validator is not None
    }
    # cattrs knows only its own exceptions as refusals, so the generated function is typed as it is used.
    inner = cast("Any", make_dict_structure_fn)(
        kind, converter, _cattrs_forbid_extra_keys=True, _cattrs_detailed_validation=True, **checks
    )

    def hook(value: Any, _: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError(f"must be a table, not {_shown(value)}")
        return inner(value, kind)

    return hook


def _checked(converter: cattrs.Converter, field: attrs.Attribute[Any]) -> Any:
    def hook(value: Any, kind: Any) -> Any:
        if field.metadata.get(SECRET) and not isinstance(value, str):
            # Not shown: the list or the table may hold the secret itself.
            raise Unfit(field.name, "must be a text, the reference to a secret")
        structured = converter.structure(value, kind)
        if field.validator is not None:
            field.validator(None, field, structured)
        return structured

    return hook


def _shown(value: object) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)[:60]


_CONVERTER: Final = _make_converter()


# -- findings ---------------------------------------------------------------------------------------------------------


def _flatten(error: BaseException, path: Path) -> Iterator[tuple[Path, str]]:
    """Every single finding in a tree of exceptions, with its path."""
    path = path + _noted(error)
    if isinstance(error, ForbiddenExtraKeysError):
        known = [field.name for field in attrs.fields(error.cl)] if error.cl is not None else []
        for name in sorted(error.extra_fields):
            close = get_close_matches(name, known, 1)
            meant = f" (did you mean {close[0]}?)" if close else ""
            yield (*path, name), f"unknown key{meant}"
    elif isinstance(error, BaseExceptionGroup):
        for exception in error.exceptions:
            yield from _flatten(exception, path)
    elif isinstance(error, Unfit):
        yield (path if path and path[-1] == error.key else (*path, error.key)), str(error)
    elif isinstance(error, KeyError):
        yield path, "is required"
    else:
        # The validators of attrs put the attribute and more behind their sentence.
        said = error.args[0] if len(error.args) > 1 and isinstance(error.args[1], attrs.Attribute) else error
        yield path, str(said) or type(error).__name__


def _noted(error: BaseException) -> Path:
    for note in getattr(error, "__notes__", []):
        if isinstance(note, AttributeValidationNote):
            return (note.name,)
        if isinstance(note, IterableValidationNote):
            return (note.index,)
    return ()


# -- paths ------------------------------------------------------------------------------------------------------------


def _with_absolute_paths(table: T, base: FilePath) -> T:
    """File names in the configuration count from its folder."""
    changes: dict[str, Any] = {}
    for field in attrs.fields(type(table)):  # type: ignore[arg-type]
        value = getattr(table, field.name)
        if field.metadata.get(PATH) and value is not None:
            changes[field.name] = str(base / value)
        elif attrs.has(type(value)):
            changes[field.name] = _with_absolute_paths(value, base)
    return cast("T", attrs.evolve(cast("Any", table), **changes)) if changes else table
