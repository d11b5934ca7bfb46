"""`uavpipe init`: a commented configuration for the videos in a folder."""

import shlex
from pathlib import Path

import click

from pipeline.cli.errors import UserError
from pipeline.cli.options import PATH
from pipeline.words import counted


@click.command()
@click.argument("folder", type=PATH, default=Path())
@click.option("--out", type=PATH, help="Write this file, which must be in FOLDER.  [default: FOLDER/flight.yaml]")
def init(folder: Path, out: Path | None) -> None:
    """Write a commented configuration for the videos in FOLDER, by default this one; never over a file.

    Files that a recorder cut one flight into are one flight. If FOLDER has no video itself, those in the folders
    below it are taken.
    """
    import yaml

    from pipeline.config.draft import draft

    path = folder / "flight.yaml" if out is None else out
    if path.parent.resolve() != folder.resolve():
        raise click.UsageError(f"--out {path}: expected a file in {folder}, since its paths are relative to it")
    if path.exists():
        raise UserError(f"{path}: exists, and is kept; name another file by --out, or remove it")
    text = draft(folder, path.name)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UserError(f"{path}: exists, and is kept; name another file by --out, or remove it") from None
    count = len(yaml.safe_load(text)["videos"])
    given = shlex.quote(str(path))
    click.echo(f"{path}: {counted(count, 'flight')}. See what would run, then run it:")
    click.echo(f"  uavpipe run --config {given} --dry-run\n  uavpipe run --config {given}")
