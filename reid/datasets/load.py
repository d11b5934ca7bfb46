"""Loading a data set by format and folder, as `msmt17:data/msmt17`."""

from collections.abc import Sequence
from pathlib import Path

from reid.datasets.formats import FORMATS, Count, Format
from reid.datasets.parts import Parts
from reid.errors import ReidError
from reid.labels import PARTS, Cameras, Label, labelled_samples
from reid.records import DISTRACTOR, ReidData


def load(spec: str, cameras: Cameras = "camera") -> ReidData:
    """The data set that `spec` names: a format of `FORMATS`, a colon, and the place.

    Without a format it is a folder with the layout of Market-1501, or a table whose name ends in .csv.

    Example:
        >>> data = load("market1501:data/market1501")
        >>> len(data.train), len(data.query), len(data.gallery)
        (12936, 3368, 19732)

    Args:
        spec: as `market1501:data/market1501`, `csv:data/crops.csv` or `data/drone`.
        cameras: what `Samples.cameras` means, cameras or flights.

    Raises:
        ReidError: a file is missing or malformed, there are no persons, or counts differ from the published ones.

    """
    kind, place = parse(spec)
    folder = _located(kind, place)
    parts = kind.read(folder)
    _check_counts(kind, place, parts)
    found = [label for part in parts for label in part]
    if not count(found).identities:
        raise ReidError(f"{place}: no persons: all {len(found):,} crops are distractors or junk")
    names = [f"{place} ({part})" for part in PARTS]
    return ReidData(place.name, *labelled_samples(list(parts), names, cameras))


def parse(spec: str) -> tuple[Format, Path]:
    """The format that `spec` names, and the place."""
    name, colon, place = spec.partition(":")
    if colon and name in FORMATS:
        return FORMATS[name], Path(place)
    return FORMATS["csv" if spec.lower().endswith(".csv") else "market"], Path(spec)


def _located(kind: Format, place: Path) -> Path:
    """The folder with the data: `place`, or the archive's folder in it."""
    if not place.exists():
        raise ReidError(_unknown_format(place) or f"{place}: does not exist; {_help(kind)}")
    candidates = [place, *(place / name for name in kind.below)]
    for folder in candidates:
        if all((folder / need).exists() for need in kind.needs):
            return folder
    nearest = max(candidates, key=lambda folder: sum((folder / need).exists() for need in kind.needs))
    missing = next(need for need in kind.needs if not (nearest / need).exists())
    raise ReidError(f"{nearest}: lacks {missing}; {_help(kind)}")


def _unknown_format(place: Path) -> str:
    """The error where `place`, which does not exist, begins with the name of no format; empty where it does not."""
    name, colon, _ = str(place).partition(":")
    if not colon or len(name) < 2 or Path(name).name != name:  # one letter is a drive of Windows
        return ""
    return f"{place}: does not exist, and '{name}' is no format; expected one of {', '.join(FORMATS)}"


def _help(kind: Format) -> str:
    where = f"; download it from {kind.origin}" if kind.origin else ""
    return f"expected {kind.name}: {kind.layout}{where}"


def count(labels: Sequence[Label]) -> Count:
    """Number of persons and images."""
    return Count(len({label.identity for label in labels if label.identity > DISTRACTOR}), len(labels))


def _check_counts(kind: Format, place: Path, parts: Parts) -> None:
    found = dict(zip(PARTS, parts, strict=True)) | {"all": [label for part in parts for label in part]}
    for part, published in kind.published.items():
        counted = count(found[part])
        for what in ("identities", "images"):
            expected, there = getattr(published, what), getattr(counted, what)
            if expected is not None and there != expected:
                raise ReidError(
                    f"{place}: {there:,} {what} in {kind.name}'s {part} part, but {expected:,} were published "
                    f"({kind.source}); complete it, or load a part of it with the format market or csv"
                )
