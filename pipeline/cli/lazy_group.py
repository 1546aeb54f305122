"""Defines groups of commands that import the module of a command when the command is run.

Help, completions and suggestions use a table of names and summaries. Showing these imports no module of a command.
"""

import gc
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup


class CommandEntry(NamedTuple):
    """A command in the table of a group.

    Attributes:
        module: the module of this package that registers the command when it is imported.
        summary: the first paragraph of the command's help.
    """

    module: str
    summary: str


def lazy_group(application: typer.Typer, table: Mapping[str, CommandEntry]) -> type[TyperGroup]:
    """Return the class for a group of commands, for Typer's argument `cls`.

    The group imports the module of a command when the command is run.

    Args:
        application: the Typer application to which the modules add their commands.
        table: name of a command → its entry. Help lists the commands in this order.
    """

    class _LazyGroup(TyperGroup):
        def __init__(self, *, commands: Mapping[str, Any], **options: Any) -> None:
            named_only = {name: TyperCommand(name, help=entry.summary) for name, entry in table.items()}
            super().__init__(commands={**named_only, **commands}, **options)

        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            """Import the module of the command that `args` name, and return the command.

            click calls this method to run a command and to complete its options, but not for the help of the group.
            """
            entry = table.get(args[0])
            if entry is not None:
                _import_uncollected(entry.module)
                made: Any = typer.main.get_command(application)
                self.commands[args[0]] = made.commands[args[0]]
            return super().resolve_command(ctx, args)

    return _LazyGroup


def _import_uncollected(module: str) -> None:
    """Import a module of this package while the garbage collector is off, and then freeze all objects.

    The collector would add a tenth to the time of the import, and would find nothing, because modules are not garbage.
    """
    name = f"{__package__}.{module}"
    if name in sys.modules:
        return
    collects = gc.isenabled()
    gc.disable()
    try:
        import_module(name)
        gc.freeze()
    finally:
        if collects:
            gc.enable()
