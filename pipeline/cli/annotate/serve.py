"""`uavpipe annotate serve`, also `uavpipe label`: the labelling app."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import LABELLED_WORKSPACE

if TYPE_CHECKING:
    from annotate.app.search import Found, Upload


@click.command()
@LABELLED_WORKSPACE
@click.option("--port", default=8750, show_default=True, help="Listen on this port; 0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Listen on this address; see above.")
@click.option("--name", "names", multiple=True, help="Answer to this host name, too, e.g. lab.local.")
@click.option(
    "--token",
    envvar="UAVPIPE_TOKEN",
    show_envvar=True,
    help="Require this token, 16 characters or more.  [default: a new one]",
)
@click.option("--no-token", is_flag=True, help="Let in every user of this machine; not with another --host.")
@click.option("--user", help="Propose this name to log decisions under.  [default: your login; with --host none]")
@click.option(
    "--suggest/--no-suggest", default=True, show_default=True, help="Embed the tracklets, for better suggestions."
)
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open a browser window.")
def serve(
    workspace: Path,
    port: int,
    host: str,
    names: tuple[str, ...],
    token: str | None,
    no_token: bool,
    user: str | None,
    suggest: bool,
    browser: bool,
) -> None:
    """Label the identities in the browser.

    Serves the labelling app over all flights of the workspace that have tracklets and crops. Only this machine can
    reach the app, unless --host is given. Its address contains a token, without which it refuses requests.
    """
    from pipeline.labelling.serve import serve

    def find(wanted: "Upload | str", by: str) -> "Found":
        from pipeline.find.in_app import find_picture  # with the networks, which take seconds to load

        return find_picture(workspace, wanted, by)

    if token and no_token:
        raise click.UsageError("--token and --no-token: expected one of them")
    serve(
        workspace,
        host=host,
        port=port,
        names=names,
        token=token,
        no_token=no_token,
        user=user,
        suggest=suggest,
        browser=browser,
        find=find,
        say=click.echo,
    )
