"""Refreshing the suggestions in the background, by a process of its own: the server stays small and responsive."""

import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from annotate.errors import AnnotateError, Refused


class Refresh:
    """Runs `command` in the background, then calls `done`; one at a time."""

    def __init__(self, command: Sequence[str], done: Callable[[], None]) -> None:
        """`command` trains on the labels and writes embeddings; empty: suggestions cannot be refreshed."""
        self._command, self._done = list(command), done
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[str] | None = None
        self._lines: deque[str] = deque(maxlen=5)
        self._result = ""  # "done", or the error

    def start(self, command: Sequence[str] = ()) -> None:
        """Start; with `command`, if given, instead of the usual one.

        Raises:
            Refused: it is running already, or there is no command.

        """
        if not self._command:
            raise Refused("the suggestions cannot be updated: the server was started with --no-suggest")
        if self._thread is not None and self._thread.is_alive():
            raise Refused("the suggestions are being updated already")
        self._lines.clear()
        self._result = ""
        self._thread = threading.Thread(target=self._run, args=(list(command) or self._command,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the command, if it is running."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def state(self) -> dict[str, Any]:
        """Its state: possible, working, last line of output, and result."""
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
