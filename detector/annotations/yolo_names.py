"""Names of the classes of YOLO annotations: data.yaml, classes.txt, obj.names."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from detector.annotations.account import Account
from detector.annotations.persons import choose_persons
from detector.annotations.pictures import list_files
from detector.errors import DetectorError
from detector.files import read_regular

LISTS = ("classes.txt", "_classes.txt", "predefined_classes.txt")  # among the label files, too
_SUFFIXES = {".names", ".labels"}  # of Darknet
_MAX_BYTES = 1_000_000

Names = Mapping[int, str]


def choose_classes(
    root: Path, labels: Path, wanted: Collection[int | str], rows: Mapping[int, int], account: Account
) -> tuple[list[int], Names]:
    """The numbers of the classes that are persons, and the names of all classes that have one.

    Args:
        root: the folder of the data set.
        labels: the folder of the label files.
        wanted: names or numbers of the classes that are persons; empty: by their names, and class 0 if no class has
            a name and the rows are of no other class.
        rows: number of rows of each class.
        account: gets a remark on the choice.

    Raises:
        DetectorError: persons cannot be recognised, `wanted` are not there, or files of names differ.

    """
    words = [str(each).strip() for each in wanted]
    found = dict(_sources(root, labels))
    if words and all(word.isdecimal() and not _is_name(word, found) for word in words):
        return sorted({int(word) for word in words}), next(iter(found.values()), {})
    names = _agreed(found)
    if names:
        place = str(next(iter(found)))
        chosen = choose_persons(names, words, place)
        account.remark(f"persons: {', '.join(f'{names[each]} (class {each})' for each in chosen)}, by {place}")
        return chosen, names
    if words:
        raise DetectorError(
            f"{root}: no data.yaml, classes.txt or obj.names has names of classes; give numbers instead of "
            f"--person {' --person '.join(words)}"
        )
    if len(rows) > 1:
        raise DetectorError(
            f"{root}: the rows are of classes {', '.join(map(str, sorted(rows)))}, and no data.yaml, classes.txt "
            "or obj.names has their names; name the classes of persons with --person NUMBER"
        )
    account.remark("persons: class 0; no data.yaml, classes.txt or obj.names has names of classes")
    return [0], {}


def _is_name(word: str, found: Mapping[Path, Names]) -> bool:
    return any(word in names.values() for names in found.values())


def _agreed(found: Mapping[Path, Names]) -> Names:
    """The names, if all files have the same."""
    plain = {path: {number: name.casefold() for number, name in names.items()} for path, names in found.items()}
    first = next(iter(found), None)
    for path in found:
        if first is not None and plain[path] != plain[first]:
            number = min(
                n for n in plain[path].keys() | plain[first].keys() if plain[path].get(n) != plain[first].get(n)
            )
            raise DetectorError(
                f"{path}: class {number} is {found[path].get(number, 'missing')}, but in {first} "
                f"{found[first].get(number, 'missing')}; remove the wrong file, or give --person NUMBER"
            )
    return {} if first is None else found[first]


def _sources(root: Path, labels: Path) -> Iterator[tuple[Path, Names]]:
    """Each file with names, and its names by number."""
    places = [root] if root.resolve() == labels.resolve() else [root, labels]
    files = list_files(root, {".yaml", ".yml"})
    for place in places:
        files += [path for path in list_files(place, {".txt"}) if path.name.lower() in LISTS]
        files += list_files(place, _SUFFIXES)
    beside = root.resolve().parent / "data.yaml"  # Roboflow's, of train/, valid/ and test/
    found = [(path, names) for path in files if (names := _names(path))]
    if not found and beside.is_file() and (names := _names(beside)):
        found = [(beside, names)]
    yield from found


def _names(path: Path) -> Names:
    try:
        content = read_regular(path)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise DetectorError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DetectorError(f"{path}: not a text file in UTF-8; expected names of classes") from None
    if path.suffix.lower() not in {".yaml", ".yml"}:
        lines = text.strip().splitlines()
        return {number: line.strip() for number, line in enumerate(lines)}
    if len(content) > _MAX_BYTES:
        raise DetectorError(f"{path}: {len(content):,} bytes; expected a short YAML file with names of classes")
    return _yaml_names(path, text)


def _yaml_names(path: Path, text: str) -> Names:
    try:
        # Texts as they are written: `no` is a name here. Nothing of the file is run.
        content: Any = yaml.load(text, yaml.BaseLoader)  # noqa: S506
    except (yaml.YAMLError, RecursionError, ValueError):
        raise DetectorError(f"{path}: not YAML; expected `names:` with the names of the classes") from None
    names = content.get("names") if isinstance(content, dict) else None
    if names is None:
        return {}
    rows = dict(enumerate(names)) if isinstance(names, list) else names
    count = content.get("nc")
    if not isinstance(rows, dict) or not all(
        str(number).strip().isdecimal() and isinstance(name, str) for number, name in rows.items()
    ):
        raise DetectorError(f"{path}: names: expected a list of names, or a number and a name for each class")
    if isinstance(count, str) and count.isdecimal() and int(count) != len(rows):
        raise DetectorError(f"{path}: nc is {count}, but there are {len(rows)} names; correct one of them")
    return {int(number): name.strip() for number, name in rows.items()}
