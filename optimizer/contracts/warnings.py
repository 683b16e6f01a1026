"""
Warnings as records: a code and values, and the sentences made from them.

Code that warns gives a code of ``WARNINGS`` and values. Code that shows a warning asks
for its sentence, in English or in the language of a catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from gettext import NullTranslations
from typing import TYPE_CHECKING, Any, TypeVar, cast

from optimizer.contracts.warning_kinds import CODES, NUM_NAMED, WARNINGS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optimizer.contracts.warning_kinds import FieldKind

    #: A place or a capacity row: what is named, and its name, such as a region's.
    Named = tuple[tuple[str, str], ...]
    Value = int | str | tuple[str, ...] | tuple[Named, ...]

T = TypeVar("T")
#: Of rates below, three places would show hardly anything.
_RARE = 0.01


@dataclass(frozen=True, slots=True)
class CodedWarning:
    """
    Something that a person should look at.

    Attributes
    ----------
    code
        One of ``WARNINGS``.
    values
        By name, as the code's ``fields`` say.

    Raises
    ------
    ValueError
        When the code is unknown, or a value is missing, unknown or of another kind:
        a bug of the program.

    Examples
    --------
    >>> found = CodedWarning("CARRIERS_NOT_MEASURED", {"carriers": ("yunda",)})
    >>> print(found)
    no premium history of yunda: effect and promise-keeping are the pool's until...
    """

    code: str
    values: Mapping[str, Value]

    def __post_init__(self) -> None:
        kind = WARNINGS.get(self.code)
        if kind is None:
            raise ValueError(f"{self.code} is no code of a warning")
        if self.values.keys() != kind.fields.keys():
            raise ValueError(f"{self.code} has the values {sorted(kind.fields)}")
        for name, said_as in kind.fields.items():
            if not _fits(self.values[name], said_as):
                raise ValueError(f"{self.code}: {name} is no {said_as}")

    @property
    def text(self) -> str:
        """The English sentence."""
        return sentence(self)

    def __str__(self) -> str:
        """Say it in English."""
        return self.text

    def __contains__(self, words: str) -> bool:
        """Whether the English sentence contains words."""
        return words in self.text

    def to_json(self) -> dict[str, Any]:
        """Give code, values and English sentence as ``run.json`` has them."""
        values = {
            name: _as_lists(value) if isinstance(value, tuple) else value
            for name, value in self.values.items()
        }
        return {"code": self.code, "values": values, "text": self.text}


def warn(code: str, **values: Value) -> CodedWarning:
    """
    Make a warning.

    Parameters
    ----------
    code
        One of ``WARNINGS``.
    **values
        By name, as the code's ``fields`` say.
    """
    return CodedWarning(code, values)


def share_text(value: float) -> str:
    """
    Write a share as it stands in a record: three digits, no sign of nothing.

    Examples
    --------
    >>> share_text(0.12345), share_text(-0.0001)
    ('0.123', '0.000')
    """
    return f"{round(value, 3) + 0.0:.3f}"


def rate_text(value: float) -> str:
    """
    Write a rate as it stands in a record: a share, or two digits of one below 1 %.

    Examples
    --------
    >>> rate_text(0.12345), rate_text(0.01), rate_text(0.000249)
    ('0.123', '0.010', '0.00025')
    """
    return share_text(value) if value >= _RARE else f"{Decimal(f'{value:.2g}'):f}"


def some(names: Sequence[T]) -> tuple[T, ...]:
    """Take as many names as a sentence shows."""
    return tuple(names[:NUM_NAMED])


def text_of(recorded: str | Mapping[str, Any]) -> str:
    """Give the English sentence of a recorded warning; old records hold only that."""
    return recorded if isinstance(recorded, str) else str(recorded["text"])


def read_warning(recorded: Any) -> CodedWarning | None:
    """
    Read a warning of ``run.json`` again.

    Returns
    -------
    CodedWarning or None
        ``None`` when it is only a sentence, as in records of format 1, or when its code
        or values are not known here.
    """
    try:
        values = {n: _as_tuples(v) for n, v in recorded["values"].items()}
        return CodedWarning(recorded["code"], values)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def sentence(warning: CodedWarning, language: NullTranslations | None = None) -> str:
    """
    Say a warning.

    Parameters
    ----------
    warning
        What to say.
    language
        Catalogue of the language; left out: English.
    """
    words = NullTranslations() if language is None else language
    kind, values = WARNINGS[warning.code], warning.values
    if kind.counted is None:
        number, template = 1, words.gettext(kind.one)
    else:
        number = cast("int", values[kind.counted])
        template = words.ngettext(kind.one, kind.many, number)
    said = {
        name: _say(values[name], said_as, number, words)
        for name, said_as in kind.fields.items()
    }
    return template.format_map(said)


def _say(value: Value, said_as: FieldKind, number: int, words: NullTranslations) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, str):
        if said_as == "word":
            return words.gettext(value)
        return value if said_as == "text" else _percent(value)
    comma, between = words.gettext(", "), "; " if said_as == "rows" else ", "
    if said_as == "codes":
        return comma.join(_called(str(part), words) for part in value)
    names = [
        part if isinstance(part, str) else _place(part, said_as, comma, words)
        for part in value
    ]
    listed = words.gettext(between).join(names)
    if 0 < len(value) < number and len(value) == NUM_NAMED:
        more = words.gettext("{names} and {num_more} more")
        return more.format(names=listed, num_more=f"{number - len(value):,}")
    return listed


def _called(part: str, words: NullTranslations) -> str:
    """
    Say a code, perhaps with its number, within a sentence.

    Examples
    --------
    >>> _called("NO_SAVING 1,200", NullTranslations())
    'not worth the fee (1,200)'
    >>> _called("BUDGET", NullTranslations()), _called("LATER", NullTranslations())
    ('budget is used up', 'LATER')
    """
    code, _, number = part.partition(" ")
    if code not in CODES:
        return part
    said = words.gettext(CODES[code])
    what = said[:1].lower() + said[1:]
    if not number:
        return what
    beside = words.gettext("({place})").format(place=number)
    return f"{what} {beside}" if beside.startswith("(") else f"{what}{beside}"


def _place(
    place: Named, said_as: FieldKind, comma: str, words: NullTranslations
) -> str:
    pattern = words.gettext("{what} {name}")
    parts = [
        pattern.format(what=words.gettext(what), name=name) for what, name in place
    ]
    said = comma.join(parts) or words.gettext("all parcels")
    if said_as == "rows":
        return said
    return words.gettext("({place})").format(place=said)


def _percent(value: str) -> str:
    """
    Say a share as a percentage.

    Examples
    --------
    >>> _percent("0.95"), _percent("0.100"), _percent("0.1234")
    ('95%', '10.0%', '12.34%')
    """
    return f"{Decimal(value):%}"


def _fits(value: Any, said_as: FieldKind) -> bool:
    """Whether a value is of the kind; numbers of numpy cannot go into a record."""
    if said_as == "count":
        return type(value) is int
    if said_as in ("text", "share", "word"):
        return type(value) is str
    if said_as in ("names", "codes"):
        return type(value) is tuple and all(type(part) is str for part in value)
    return type(value) is tuple and all(
        type(part) is tuple and all(len(pair) == 2 for pair in part) for part in value
    )


def _as_lists(value: tuple[Any, ...]) -> list[Any]:
    return [_as_lists(part) if isinstance(part, tuple) else part for part in value]


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value
