"""
The manual page, out of the commands' own help, for ``make manual``.

Written here because ``click-man`` reads click's classes, and typer carries its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from optimizer.cli.examples import EXIT_CODES

#: Variables that are read, as in the documentation.
ENVIRONMENT = {
    "NUMBA_CACHE_DIR": "folder of compiled kernels",
    "NUMBA_CPU_NAME": "CPU that kernels are compiled for, such as generic",
    "NO_COLOR": "any value: no colours",
}


def _plain(text: object) -> str:
    """Text in which roff sees nothing of its own."""
    escaped = str(text).replace("\\", r"\e").replace("-", r"\-")
    return " ".join(escaped.split()).replace("'", r"\(aq")


def _listed(items: dict[str, str]) -> Iterator[str]:
    for name, meaning in items.items():
        yield from (".TP", rf"\fB{_plain(name)}\fR", _plain(meaning))


def _synopsis(name: str, parameters: list[Any]) -> str:
    """A line such as ``optimizer explain [OPTIONS] [FOLDER] [ORDER]``."""
    words = ["[OPTIONS]"]
    for parameter in parameters:
        if parameter.param_type_name != "option":
            place = _value(parameter) + "..." * (parameter.nargs != 1)
            words.append(place if parameter.required else f"[{place}]")
    return rf"\fB{_plain(name)}\fR {_plain(' '.join(words))}"


def _value(parameter: Any) -> str:
    """What an option or argument takes: a word in capitals, or the choices."""
    if parameter.metavar is not None:
        return str(parameter.metavar)
    choices = getattr(parameter.type_descriptor, "choices", None)
    if choices:
        return "|".join(str(getattr(choice, "value", choice)) for choice in choices)
    return "" if getattr(parameter, "is_flag", False) else parameter.name.upper()


def _command(name: str, command: Any) -> Iterator[str]:
    """A command's synopsis, what it does and its options; then its own commands."""
    yield from (".SS", rf"\&{_plain(name)}", _synopsis(name, command.params), ".PP")
    yield _plain((command.help or "").split("\f")[0])
    for parameter in command.params:
        text = getattr(parameter, "help", None)
        if text:
            names, value = ", ".join(parameter.opts), _value(parameter)
            if parameter.param_type_name != "option":
                names, value = value, ""
            shown = rf"\fB{_plain(names)}\fR" + (f" {_plain(value)}" if value else "")
            yield from (".TP", shown, _plain(text))
    if command.epilog:
        yield from (".PP", _plain(command.epilog.split("\n\n")[0]))
    for word, inner in getattr(command, "commands", {}).items():
        yield from _command(f"{name} {word}", inner)


def manual(program: Any, version: str) -> str:
    """
    The manual page ``optimizer(1)``.

    Parameters
    ----------
    program
        Typer's application.
    version
        Version that the page is of.

    Returns
    -------
    str
        The page in roff, with the ``man`` macros.
    """
    from typer.main import get_command

    whole = get_command(program)
    lines = [
        rf'.TH OPTIMIZER 1 "" "{_plain(version)}" "premium\-delivery\-optimizer"',
        *(".SH NAME", rf"optimizer \- {_plain(whole.help)}"),
        *(".SH SYNOPSIS", r"\fBoptimizer\fR [OPTIONS] COMMAND [ARGS]..."),
        ".SH COMMANDS",
    ]
    for word, command in whole.commands.items():  # type: ignore[attr-defined]
        lines += _command(f"optimizer {word}", command)
    lines += [".SH EXIT STATUS", *_listed(EXIT_CODES)]
    lines += [".SH ENVIRONMENT", *_listed(ENVIRONMENT)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    from optimizer import __version__
    from optimizer.cli.main import app

    print(manual(app, __version__), end="")  # noqa: T201 - the page is the output
