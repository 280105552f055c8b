# SPDX-License-Identifier: Apache-2.0
"""The group of commands, and what they share: exit codes and errors without tracebacks."""

from __future__ import annotations

import re
from typing import Any

import click

from tfprune import __version__
from tfprune.cli.benchmark import benchmark
from tfprune.cli.convert import convert
from tfprune.cli.inspect import inspect
from tfprune.cli.mapping import map_command
from tfprune.cli.profile import profile
from tfprune.cli.prune import prune
from tfprune.cli.verify import verify
from tfprune.errors import TfpruneError

EXIT_BAD_USE = 2
# Remedies of the Python interface, and the same for somebody at a terminal.
_REMEDIES = (
    (re.compile(r"pass overwrite=True"), "pass --overwrite"),
    (re.compile(r"pass force=True"), "pass --force"),
    (re.compile(r"target='dense'"), "--target dense"),
    (re.compile(r"needs representative_data"), "needs --representative-data"),
    (re.compile(r"backend=auto"), "--backend auto"),
    (
        re.compile(r"pass it by name, (custom_objects=\{.*\})"),
        r"use the Python interface: tp.convert(..., \1)",
    ),
)


class BadUse(click.ClickException):
    """A mistake in what was asked: the message on stderr, exit code 2."""

    exit_code = EXIT_BAD_USE


class TfpruneGroup(click.Group):
    """A group whose commands turn every error of tfprune into a message and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except TfpruneError as error:
            raise BadUse(_for_terminal(str(error))) from error


def _for_terminal(message: str) -> str:
    for pattern, replacement in _REMEDIES:
        message = pattern.sub(replacement, message)
    return message


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"tfprune {__version__}")
        ctx.exit()


@click.group(cls=TfpruneGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version."
)
def main() -> None:
    """Turn pruned Keras models into smaller, faster .tflite files.

    Exit codes: 0 success, 1 a problem was found, 2 bad use.
    """


for command in (profile, map_command, prune, convert, inspect, verify, benchmark):
    main.add_command(command)
