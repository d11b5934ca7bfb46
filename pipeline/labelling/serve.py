"""Serving the labelling app over the flights of a workspace."""

import socket
import threading
import webbrowser
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from annotate.app.access import LOOPBACK, Access
from annotate.app.opening import Opening
from annotate.records import flights_with_tracklets
from pipeline.errors import PipelineError
from pipeline.workspace.folders import check_whole
from pipeline.workspace.locks import login

if TYPE_CHECKING:
    import uvicorn

    from annotate.app.search import Find
    from pipeline.labelling.application import Application

_PATIENCE_S = 3  # with open requests, at the end: decisions are saved already
_SOON_S = 0.5  # an address that works at once is better than one that shows progress


def serve(
    workspace: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8750,
    names: tuple[str, ...] = (),
    token: str | None = None,
    no_token: bool = False,
    user: str | None = None,
    suggest: bool = True,
    browser: bool = True,
    find: "Find | None" = None,
    say: Callable[[str], None] = print,
) -> None:
    """Serve the labelling app until interrupted.

    Args:
        workspace: with flights that have tracklets and crops.
        host: address to listen on.
        port: to listen on; 0 takes a free one.
        names: host names of the server in the network, beside `host`.
        token: required with each request, and part of the address that is printed; None: a new one.
        no_token: let in every user of this machine; only on loopback.
        user: the name that the page proposes; None: the login, or none where others reach the app, for two
            labellers of one name cannot be told apart.
        suggest: embed the tracklets where that was not done, and retrain when the page asks for it.
        browser: open a browser window.
        find: searches for the person in a picture; None: the page cannot.
        say: prints a line.

    Raises:
        AnnotateError: the workspace cannot be labelled; gives the reason.
        PipelineError: the port is taken, `no_token` on an address that others reach, or labels wait to be carried
            over.

    """
    if no_token and not _loopback(host):
        raise PipelineError(f"--no-token: other machines reach {host}; leave it out, or --host")
    hosts = tuple(dict.fromkeys(each.lower() for each in (*LOOPBACK, host, *names)))
    access = Access(hosts, None) if no_token else Access(hosts, token) if token else Access(hosts)
    check_whole(workspace)
    if user is None:
        user = login() if _loopback(host) else ""
    _serve(workspace, host, port, access, user, suggest, browser, find, say)


def _serve(
    workspace: Path,
    host: str,
    port: int,
    access: Access,
    user: str,
    suggest: bool,
    browser: bool,
    find: "Find | None",
    say: Callable[[str], None],
) -> None:
    import uvicorn

    flights_with_tracklets(workspace)  # where there are none, no address is shown
    listening = _listen(host, port)
    opening = Opening(access)
    # Not its own log_config: that closes every handler of the process.
    config = uvicorn.Config(
        opening, log_config=None, log_level="warning", access_log=False, timeout_graceful_shutdown=_PATIENCE_S
    )
    server = uvicorn.Server(config)
    opening.ending = lambda: server.should_exit
    labelling = _Labelling(workspace, user, suggest, find, opening, server)
    try:
        labelling.wait(_SOON_S)
        _announce(listening, host, access, browser, say)
        labelling.say = say
        server.run([listening])
        labelling.wait()
    finally:
        listening.close()
        labelling.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError:
        raise PipelineError(f"port {port} of {host} cannot be used; choose another --port") from None


def _announce(
    listening: socket.socket, host: str, access: Access, browser: bool, say: Callable[[str], None]
) -> None:
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listening.getsockname()[1]}/"
    token = f"?token={access.token}" if access.token else ""
    say(f"labelling at {address}{token}  (Ctrl-C ends it; every decision is saved at once)")
    if browser:
        opened = address + (f"?token={access.once}" if access.token else "")
        threading.Timer(0.5, webbrowser.open, [opened]).start()


class _Labelling:
    """A workspace that is opened for labelling beside the server, which shows the progress until then.

    Attributes:
        say: is called with lines of progress.

    """

    def __init__(
        self,
        workspace: Path,
        user: str,
        suggest: bool,
        find: "Find | None",
        opening: Opening,
        server: "uvicorn.Server",
    ) -> None:
        self.say: Callable[[str], None] = lambda line: None
        self._workspace, self._user, self._suggest = workspace, user, suggest
        self._find, self._opening, self._server = find, opening, server
        self._application: Application | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._open, daemon=True)  # Ctrl-C does not wait for it
        self._thread.start()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the workspace is open, `seconds` at most; raises what opening it raised."""
        self._thread.join(seconds)
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """End what runs beside the server, and let go of the labels."""
        if self._application is not None:
            self._application.close()

    def _open(self) -> None:
        try:
            self._serve()
        except Exception as error:  # raised again by `wait`
            self._error = error
            self._server.should_exit = True

    def _serve(self) -> None:
        from pipeline.labelling.application import Application  # takes a second, after which the address is there

        self._application = Application()
        app = self._application.open(
            self._workspace, self._user, suggest=self._suggest, find=self._find, say=self._progress
        )
        self._opening.ready(app)
        self.say("ready")

    def _progress(self, line: str) -> None:
        self._opening.line = line
        self.say(line)


def _loopback(host: str) -> bool:
    if host in LOOPBACK:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
