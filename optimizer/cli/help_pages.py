"""Help pages whose types are for people: FILE, DATE, NUMBER; nothing for a flag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typer.core import TyperArgument, TyperCommand, TyperGroup

from optimizer.cli.misplaced import refuse_misplaced

if TYPE_CHECKING:
    from collections.abc import Iterable


def _without_types(parameters: Iterable[Any]) -> list[Any]:
    """Let arguments and flags show no type: a name says it, and a flag takes none."""
    found = [*parameters]
    for parameter in found:
        if isinstance(parameter, TyperArgument):
            # Typer prints the Python type beside an argument's name, whatever it is.
            vars(parameter)["display_type_rich"] = _no_type
        elif getattr(parameter, "is_flag", False) and parameter.metavar is None:
            parameter.metavar = ""
    return found


def _no_type(ctx: object) -> str:
    return ""


class PlainCommand(TyperCommand):
    """A command with such a page."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Options and arguments, as the page shows them."""
        return _without_types(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words; a configuration or a date without its option is named."""
        names: list[str] = []
        at = ctx
        while at.parent is not None:
            names.insert(0, at.info_name)
            at = at.parent
        refuse_misplaced(" ".join(["optimizer", *names]), self.params, args)
        return super().parse_args(ctx, args)


class PlainGroup(TyperGroup):
    """A command with commands of its own, likewise."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Options and arguments, as the page shows them."""
        return _without_types(super().get_params(ctx))
