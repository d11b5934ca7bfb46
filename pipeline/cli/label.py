"""`uavpipe label`: say who is who, in the browser."""

import getpass
from pathlib import Path

import click

from pipeline.cli.options import PATH


@click.command()
@click.option(
    "--workspace", type=PATH, default=Path("runs"), show_default=True, help="Folder of the flights and labels."
)
@click.option("--port", default=8750, show_default=True, help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Another one opens the app to the network.")
@click.option("--name", "names", multiple=True, help="Under which the network calls this machine, as lab.local.")
@click.option("--user", default=getpass.getuser, help="The name that stands by your decisions.  [default: yours]")
@click.option(
    "--suggest/--no-suggest", default=True, help="Let a re-id model look at the tracklets for better suggestions."
)
@click.option("--browser/--no-browser", default=True, help="Open a browser window.")
def label(
    workspace: Path, port: int, host: str, names: tuple[str, ...], user: str, suggest: bool, browser: bool
) -> None:
    """Say who is who: opens the labelling app on all flights of WORKSPACE that have tracklets and crops.

    Only this machine can reach it, unless --host says otherwise; then the address with its token is needed.
    """
    from pipeline.labelling.serve import serve

    serve(workspace, host=host, port=port, names=names, user=user, suggest=suggest, browser=browser, say=click.echo)
