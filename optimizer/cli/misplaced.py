"""A configuration or a date that stands where no option names it: what was meant."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.cli.named_nights import is_date
from optimizer.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Commands that a configuration alone is enough for, though they take a date.
_WITHOUT_DATE = ("status", "evidence", "validate")


def refuse_misplaced(
    path: str, parameters: Sequence[Any], words: Sequence[str]
) -> None:
    """
    Refuse a configuration, or dates, without the option that takes them.

    Parameters
    ----------
    path
        Words that call the command.
    parameters
        The command's.
    words
        What was given to it.

    Raises
    ------
    ConfigError
        With the whole command as it would be right.
    """
    options = {name: p for p in parameters for name in p.opts if name[:1] == "-"}
    given, loose = _split(words, options)
    if "--config" not in options or given & {"-h", "--help"}:
        return
    takes_words = any(p.param_type_name == "argument" for p in parameters)
    files = [] if "--config" in given else [w for w in loose if _is_settings(w)][:1]
    dates = [w for w in loose if is_date(w)] if files or not takes_words else []
    into = _date_options(options, given, path.split()[-1])
    dates = dates[: len(into)]
    if not files and not dates:
        return
    rest = [word for word in loose if word not in (*files, *dates)]
    is_needed = dates or not (rest or path.endswith(_WITHOUT_DATE))
    if path.endswith("explain") and "--date" not in given:
        is_needed = True
    stand_ins = ["yesterday"] if len(into) == 1 else ["DATE"] * len(into)
    filled = [*dates, *stand_ins[len(dates) :]] if is_needed else []
    named = [w for file in files for w in ("--config", file)]
    named += [w for pair in zip(into, filled, strict=False) for w in pair]
    others = [word for word in words if word not in (*files, *dates, *rest)]
    right = shlex.join([*path.split(), *named, *rest, *others])
    pairs = [(file, "--config") for file in files]
    pairs += zip(dates, into, strict=False)
    said = ", ".join(f"{word} without {option}" for word, option in pairs)
    raise ConfigError(f"you gave {said}; write:\n  {right}")


def _split(words: Sequence[str], options: dict[str, Any]) -> tuple[set[str], list[str]]:
    """Names of the options that were given, and words that none of them takes."""
    given, loose, is_value = set(), [], False
    for word in words:
        if is_value:
            is_value = False
        elif word.startswith("-") and word != "-":
            name, sign, _ = word.partition("=")
            given.add(name)
            option = options.get(name)
            is_value = (
                not sign
                and option is not None
                and not getattr(option, "is_flag", False)
            )
        else:
            loose.append(word)
    return given, loose


def _date_options(options: dict[str, Any], given: set[str], command: str) -> list[str]:
    """Options for dates that are still to be given, once for each date."""
    ends = [name for name in ("--from", "--to") if name in options]
    if ends:
        return [n for n in ends if n not in given and options[n].required]
    if "--date" not in options or "--date" in given:
        return []
    return ["--date"] * (2 if command == "diff" else 1)


def _is_settings(word: str) -> bool:
    return word.endswith((".yaml", ".yml")) and not Path(word).is_dir()
