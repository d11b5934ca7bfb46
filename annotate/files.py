"""Text files: read with a clear word on what is wrong, written wholly or not at all."""

import os
from pathlib import Path

from annotate.errors import AnnotateError


def read_text(path: Path) -> str:
    """The text in `path`.

    Raises:
        AnnotateError: it cannot be read, or is not UTF-8.

    """
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise AnnotateError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise AnnotateError(f"{path}: not a text file in UTF-8") from None


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`: wholly or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".part-{path.name}")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
