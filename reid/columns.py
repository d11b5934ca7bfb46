"""Tables of crops (CSV): their columns by our names, and by those that others use for the same."""

import csv
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from itertools import chain
from pathlib import Path

from reid.errors import ReidError
from reid.files import open_regular

# What is as clear elsewhere; `id` is not: it may be of a row, an image or a person.
_ALSO = {
    "identity": ("pid", "person_id", "personid", "identity_id"),
    "camera": ("camid", "cam", "cam_id", "camera_id", "cameraid"),
    "flight": ("flight_id", "sequence", "seq"),
    "tracklet": ("tracklet_id", "trackletid", "track_id", "trackid", "track"),
    "path": ("img_path", "image_path", "file_name", "filename", "file", "image", "img", "crop"),
    "split": ("subset", "part"),
    "altitude_m": ("altitude", "alt_m", "height_above_takeoff_m"),
}
COLUMNS = tuple(_ALSO)
_SHOWN = 6  # columns in a message
_log = logging.getLogger(__name__)


class Rows:
    """The rows of an open table.

    Attributes:
        names: the table's own name of each of `COLUMNS` that it has.
        unused: names of its other columns.

    """

    def __init__(self, source: Path, file: TextIOWrapper) -> None:
        header = file.readline()
        delimiter = max(",;\t", key=header.count)
        self._source, self._reader = source, csv.DictReader(chain([header], file), delimiter=delimiter)
        fields = list(self._reader.fieldnames or ())
        self.names = _known(fields, source)
        self.unused = [name for name in fields if name not in self.names.values()]

    def __iter__(self) -> Iterator[tuple[int, Mapping[str, str]]]:
        """Line number, and the text of each of `COLUMNS` that the table has.

        Raises:
            ReidError: a row has more fields than there are columns.

        """
        for row in self._reader:
            if None in row:
                raise ReidError(
                    f"{self._source} line {self._reader.line_num}: more fields than the {len(row) - 1} columns; "
                    "quote a path that has a comma"
                )
            yield self._reader.line_num, {name: (row[own] or "").strip() for name, own in self.names.items()}

    def require(self, name: str) -> None:
        """Check that there is the column `name`.

        Raises:
            ReidError: there is none.

        """
        if name not in self.names:
            found = ", ".join(self.unused + list(self.names.values()))[:100] or "none"
            raise ReidError(
                f"{self._source}: expected a column '{name}' (or {', '.join(_ALSO[name])}), found {found}"
            )

    def warn_of_unused(self) -> None:
        """Warn of the columns that are not used, and name the known ones."""
        if self.unused:
            more = f" and {len(self.unused) - _SHOWN} more" if len(self.unused) > _SHOWN else ""
            unused, known = ", ".join(self.unused[:_SHOWN]), ", ".join(COLUMNS)
            _log.warning("%s: columns not used: %s%s; known ones: %s", self._source, unused, more, known)


@contextmanager
def open_rows(source: Path) -> Iterator[Rows]:
    """The rows of the table `source`, separated by commas, semicolons or tabs.

    Raises:
        ReidError: two columns mean the same.
        OSError, UnicodeDecodeError, csv.Error: it is no table.

    """
    with TextIOWrapper(open_regular(source), "utf-8-sig", newline="") as file:
        yield Rows(source, file)


def _known(fields: Sequence[str], source: Path) -> dict[str, str]:
    plain = [field.strip().lower().replace(" ", "_").replace("-", "_") for field in fields]
    known = {}
    for name, others in _ALSO.items():
        ours = [field for field, text in zip(fields, plain, strict=True) if text == name]
        found = ours or [field for field, text in zip(fields, plain, strict=True) if text in others]
        if len(found) > 1:
            raise ReidError(f"{source}: columns {' and '.join(found)} both mean '{name}'; leave one of them")
        if found:
            known[name] = found[0]
    return known
