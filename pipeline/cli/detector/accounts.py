"""The lines that a command prints about a file that it read."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from detector.annotations.account import Account


def show_account(account: "Account", path: Path) -> None:
    """Print how many rows of `path` were read, used, and left out by reason, and what else there is to know."""
    for line in account.lines(path):
        click.echo(line)
