"""A check that a file is a model in OpenVINO's IR: OpenVINO would try other formats, and print their errors."""

from pathlib import Path

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, iterparse

from reid.errors import ReidError


def require_ir(path: Path) -> None:
    """Check that the `.xml` begins as a model does, and that its weights are beside it.

    Raises:
        ReidError: it does not, or a file is missing.

    """
    if not path.is_file():
        raise ReidError(f"{path}: no such model")
    try:
        _, root = next(iterparse(path, events=("start",)))
    except (ParseError, DefusedXmlException, StopIteration, ValueError, OSError) as error:
        raise ReidError(f"{path}: OpenVINO cannot read it: not XML ({error}); give the .xml of a model") from None
    if root.tag != "net":
        raise ReidError(
            f"{path}: OpenVINO cannot read it: its first element is '{root.tag}', where that of a model is 'net'"
        )
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise ReidError(f"{weights}: no such file; an OpenVINO model is an .xml and a .bin beside it")
