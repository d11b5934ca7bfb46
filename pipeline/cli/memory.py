"""Running out of memory: recognised in the errors of every library; the settings that need less."""

import errno
import re
from collections.abc import Iterator

import click

from pipeline.chain.table import CHAIN, Scope

# command, or group of commands -> its settings that need less memory
_FLIGHTS = ("run", *(stage.command for stage in CHAIN if stage.scope is not Scope.WORKSPACE))
_LESS = dict.fromkeys(_FLIGHTS, "detector.batch_size=1 or a smaller detector.resize") | {
    "detector": "batch_size=1, workers=0 or a smaller cache_gb",
    "reid": "fewer sampler.identities or a smaller cache_gb",
}
_TEXT = re.compile(
    r"can(?:no|')t allocate memory(?! in static TLS)|failed to map segment|insufficient memory|out of memory"
    r"|bad_alloc|can't start new thread|unable to allocate|not enough memory"
    r"|could not create a (?:primitive|memory)"
    r"|generic error in an external library: 'avcodec_open2\(\"libx264\""  # x264 says no more
    r"|(?:return|NULL|result) without (?:exception set|setting an exception)",  # C code lost it
    re.IGNORECASE,
)


def ran_out(error: BaseException) -> bool:
    """Whether `error`, or one that it was raised from or while handling, says that there is no memory left."""
    return any(_says_so(each) for each in _chain(error))


def explanation(error: BaseException) -> str:
    """One line on `error`, which `ran_out`: during what, and which settings of the command need less."""
    context = click.get_current_context(silent=True)
    during = next((note for each in _chain(error) for note in getattr(each, "__notes__", [])), "")
    less = _LESS.get((context and context.invoked_subcommand) or "")
    return (
        f"memory ran out{f' during {during}' if during else ''}; finished work is kept: "
        f"free some memory{f', or set {less},' if less else ''} and run again"
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [other for other in (each.__cause__, each.__context__) if other is not None]


def _says_so(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    libraries = isinstance(error, (ImportError, RuntimeError, SystemError))
    libraries |= type(error).__module__ in ("cv2", "av.error")
    return libraries and bool(_TEXT.search(str(error)))
