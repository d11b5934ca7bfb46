"""Making the suggestions anew while people label: by a command, so that the server stays small and awake."""

import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from annotate.errors import AnnotateError, Refused


class Refresh:
    """Runs `command` in the background, then calls `done`; one at a time."""

    def __init__(self, command: Sequence[str], done: Callable[[], None]) -> None:
        """`command` learns from the labels and writes embeddings; empty: there is nothing to run."""
        self._command, self._done = list(command), done
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[str] | None = None
        self._lines: deque[str] = deque(maxlen=5)
        self._result = ""  # "done", or what went wrong

    def start(self, command: Sequence[str] = ()) -> None:
        """Begin; with `command`, if one is given, instead of the usual one.

        Raises:
            Refused: it is at work already, or there is nothing to run.

        """
        if not self._command:
            raise Refused("this server was started without a way to make new suggestions")
        if self._thread is not None and self._thread.is_alive():
            raise Refused("new suggestions are being made already")
        self._lines.clear()
        self._result = ""
        self._thread = threading.Thread(target=self._run, args=(list(command) or self._command,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the command, if it is at work."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def state(self) -> dict[str, Any]:
        """Whether it can run, is at work, its last line, and how it ended."""
        working = self._thread is not None and self._thread.is_alive()
        return {
            "possible": bool(self._command),
            "working": working,
            "line": self._lines[-1] if self._lines else "",
            "result": "" if working else self._result,
        }

    def _run(self, command: list[str]) -> None:
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the command is ours, not a request's
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        except OSError as error:
            self._result = f"{command[0]}: {error.strerror}"
            return
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line.strip()[:300])
        if self._process.wait():
            self._result = self._lines[-1] if self._lines else f"ended with code {self._process.returncode}"
            return
        try:
            self._done()
            self._result = "done"
        except AnnotateError as error:
            self._result = str(error)
