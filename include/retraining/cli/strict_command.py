"""Commands whose options need a value, never the next option in its place."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from typer import BadParameter
from typer.core import TyperCommand


class StrictCommand(TyperCommand):
    """A command that refuses `--reason --dry-run`.

    Typer would take `--dry-run` for the reason, and roll back. A value that does begin with a dash
    is given as `--reason=-x`.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Return what is left of the arguments; see the class.

        Raises:
            BadParameter: for an option that is followed by another option, or by nothing.
        """
        with_value = {
            name
            for param in self.params
            if not (getattr(param, "is_flag", False) or param.param_type_name == "argument")
            for name in param.opts
        }
        for option, value in pairwise([*args, "--"]):
            if option in with_value and value.startswith("-") and " " not in value:
                raise BadParameter("a value is missing", ctx=ctx, param_hint=f"'{option}'")
        return super().parse_args(ctx, args)
