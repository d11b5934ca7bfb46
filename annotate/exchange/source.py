"""The file that another tool wrote: as it is, or within the zip in which CVAT and others pack an export."""

import io
import re
import zipfile
from configparser import ConfigParser, Error
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from annotate.errors import AnnotateError
from annotate.files import LARGEST, read_regular

FORM_OF_SUFFIX = {".jsonl": "log", ".txt": "mot", ".csv": "mot", ".json": "coco", ".xml": "cvat"}
_MEMBERS = {  # in the zip of an export
    "cvat": re.compile(r"annotations\.xml", re.IGNORECASE),
    "coco": re.compile(r"(?:.*/)?annotations/[^/]+\.json", re.IGNORECASE),
    "mot": re.compile(r"(?:.*/)?gt/gt\.txt", re.IGNORECASE),
}
_CLASS_NAMES = "labels.txt"  # beside gt.txt in the exports of CVAT and Datumaro: class 1 is the first line
_SEQUENCE = "seqinfo.ini"  # MOTChallenge's description of a sequence, in the folder above gt/


@dataclass(frozen=True)
class Source:
    """One file of annotations.

    Attributes:
        shown: its name for messages.
        form: "mot", "coco", "cvat" or "log".
        data: its bytes.
        beside: the small files that belong to it, by name.

    """

    shown: str
    form: str
    data: bytes
    beside: dict[str, bytes]

    @property
    def text(self) -> str:
        """Its text, without a byte order mark.

        Raises:
            AnnotateError: it is not UTF-8.

        """
        try:
            return self.data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise AnnotateError(f"{self.shown}: not a text file in UTF-8") from None

    def class_names(self) -> dict[int, str]:
        """Class number -> name, as `labels.txt` beside MOT's text has them; empty without it."""
        lines = self.beside.get(_CLASS_NAMES, b"").decode("utf-8-sig", "replace").splitlines()
        return {number: line.strip() for number, line in enumerate(lines, start=1) if line.strip()}

    def sequence(self) -> dict[str, int]:
        """`seqlength`, `imwidth` and `imheight` of `seqinfo.ini`, those that it has."""
        parser = ConfigParser(interpolation=None, strict=False)
        try:
            parser.read_string(self.beside.get(_SEQUENCE, b"").decode("utf-8-sig", "replace"))
        except Error:
            return {}
        found = parser["Sequence"] if parser.has_section("Sequence") else {}
        numbers = {name: found.get(name, "").strip() for name in ("seqlength", "imwidth", "imheight")}
        return {name: int(text) for name, text in numbers.items() if re.fullmatch(r"\d{1,9}", text, re.ASCII)}


def open_source(path: Path, form: str | None = None) -> Source:
    """The annotations in `path`; of a zip, the one file of annotations in it.

    Args:
        path: the file, or the zip of an export.
        form: the format; None: the suffix selects it.

    Raises:
        AnnotateError: the file cannot be read, its format is unknown, or a zip holds none or several such files.

    """
    try:
        data = read_regular(path)
    except OSError as error:
        raise AnnotateError(f"{path}: cannot be read: {error.strerror}") from None
    if data.startswith(b"PK\x03\x04"):
        return _from_zip(path, data, form)
    form = form or FORM_OF_SUFFIX.get(path.suffix.lower())
    if form is None:
        known = ", ".join(f"{name} for {suffix}" for suffix, name in FORM_OF_SUFFIX.items())
        raise AnnotateError(f"{path}: unknown format; give --format ({known})")
    places = {_CLASS_NAMES: path.parent, _SEQUENCE: path.parent.parent} if path.parent.name == "gt" else {}
    return Source(str(path), form, data, _small_files({name: folder / name for name, folder in places.items()}))


def _small_files(places: dict[str, Path]) -> dict[str, bytes]:
    found = {}
    for name, path in places.items():
        try:
            found[name] = read_regular(path)
        except OSError:
            continue
    return found


def _from_zip(path: Path, data: bytes, form: str | None) -> Source:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [each.filename for each in archive.infolist() if each.file_size <= LARGEST]
            found = [
                (kind, name)
                for kind, pattern in _MEMBERS.items()
                for name in names
                if pattern.fullmatch(name) and form in (None, kind)
            ]
            if len(found) != 1:
                listed = ", ".join(name for _, name in found) or "none"
                raise AnnotateError(
                    f"{path}: expected one file of annotations (annotations.xml, annotations/….json or gt/gt.txt) "
                    f"in the zip, found {listed}; unpack it and name the file"
                )
            [(kind, name)] = found
            folder = PurePosixPath(name).parent
            places = {_CLASS_NAMES: folder / _CLASS_NAMES, _SEQUENCE: folder.parent / _SEQUENCE}
            beside = {each: archive.read(str(place)) for each, place in places.items() if str(place) in names}
            return Source(f"{path}: {name}", kind, archive.read(name), beside)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise AnnotateError(f"{path}: a zip that cannot be read ({error}); pack it again") from None
    except Exception as error:  # zlib raises its own
        if isinstance(error, AnnotateError):
            raise
        raise AnnotateError(f"{path}: a damaged zip; export it again") from None
