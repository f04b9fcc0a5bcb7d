"""A command line that cannot be read, in our words: which option is wrong, why, and where it is told what it takes.

Typer finds the mistake; its sentences and boxes are not shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from typer.exceptions import TyperException

from assay.errors import InputError, nearest
from assay.files.mistakes import mistake_in

QUOTED = re.compile(r"'([^']*)'")
BRACKETED = re.compile(r"\((.*)\)", re.DOTALL)
LONGEST = 120
"""How much of what was typed a message shows."""


def told_of_usage(error: TyperException) -> InputError:
    """Return the mistake in the command line as an error of ours."""
    context = getattr(error, "ctx", None)
    called = str(context.command_path) if context else "assay"
    kind = type(error).__name__
    where = f"`{called} --help` lists its options"
    if kind == "NoSuchOption":
        return _unknown_option(error, called, context, where)
    if kind == "BadOptionUsage":
        name = str(getattr(error, "option_name", "an option"))
        needs = "takes no value" if "does not take" in error.message else "needs a value after it"
        return InputError(f"The option {name} {needs}", remedy=where)
    parameter = getattr(error, "param", None)
    if kind == "MissingParameter" and parameter is not None:
        return InputError(
            f"{called} needs {_named(parameter)}", expected=_told(parameter), found="nothing", remedy=where
        )
    if parameter is not None:
        mistake = mistake_in(error.__cause__) if isinstance(error.__cause__, Exception) else error.message.rstrip(".")
        return InputError(f"{called} {_named(parameter)}: {mistake}", remedy=where)
    return _about_arguments(error.message, called, context, where)


def _unknown_option(error: TyperException, called: str, context: Any, where: str) -> InputError:
    name = str(getattr(error, "option_name", ""))
    known = [one for each in context.command.params for one in each.opts if one.startswith("-")] if context else []
    like = nearest(name, known)
    return InputError(f"{called} has no option {name}", remedy=f"Did you mean {like}? {where}" if like else where)


def _about_arguments(message: str, called: str, context: Any, where: str) -> InputError:
    """A command that is none, one that is missing, or words that nothing takes."""
    commands: Mapping[str, Any] = getattr(context.command, "commands", {}) if context else {}
    shown = [name for name, one in commands.items() if not getattr(one, "hidden", False)]
    if message.startswith("No such command"):
        found = QUOTED.search(message)
        name = found[1] if found else ""
        like = nearest(name, shown)
        meant = f"Did you mean '{like}'? " if like else ""
        return InputError(f"{called} has no command '{name[:LONGEST]}'", remedy=f"{meant}`{called} --help` lists all")
    if message.startswith("Missing command"):
        return InputError(f"{called} needs a command", expected=f"one of {', '.join(shown)}", found="nothing")
    if "unexpected extra argument" in message:
        further = BRACKETED.search(message)
        return InputError(
            f"{called} takes no further arguments",
            found=further[1][:LONGEST] if further else "more words",
            remedy=where,
        )
    return InputError(f"{called} cannot be understood: {message.rstrip('.')}", remedy=where)


def _named(parameter: Any) -> str:
    """ "--minutes", or "STUDY" of what has no dashes."""
    if parameter.param_type_name == "option":
        return str(max(parameter.opts, key=len))
    return str(parameter.metavar or parameter.name.upper())


def _told(parameter: Any) -> str | None:
    """Return its help as part of a sentence."""
    said = str(getattr(parameter, "help", "") or "").rstrip(".")
    return f"{said[:1].lower()}{said[1:]}" if said[1:2].islower() or said[1:2] == " " else said or None
