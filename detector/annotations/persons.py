"""The classes of a data set that are persons: by their names, or as the user names them."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from detector.errors import DetectorError

# VisDrone has pedestrians (standing or walking) and people (in any other pose). Of these groups the first counts
# of which a class has a name: a data set of persons and pedestrians has the pedestrians twice, or means others.
_NAMES = (
    frozenset({"person", "persons"}),
    frozenset({"pedestrian", "pedestrians", "people"}),
    frozenset({"human", "humans"}),
)

Id = TypeVar("Id", bound=Hashable)


def choose_persons(
    names: Mapping[Id, str], wanted: Sequence[str], place: str, option: str = "--person"
) -> list[Id]:
    """The ids of the classes that are persons, in the order of `names`.

    Capitals do not count. Without `wanted`, persons are all classes called person, else pedestrian or people, else
    human.

    Args:
        names: of the classes, by id.
        wanted: names of classes, or their ids; empty: by the rule above.
        place: the file, for an error.
        option: the option or setting that names persons, for an error.

    Raises:
        DetectorError: no class is a person by its name, or one of `wanted` is not there; lists the names.

    """
    plain = {number: name.strip().casefold() for number, name in names.items()}
    if not wanted:
        for group in _NAMES:
            if found := [number for number, name in plain.items() if name in group]:
                return found
        raise DetectorError(
            f"{place}: no category 'person' among {_listed(names)}; name the persons with {option} NAME"
        )
    chosen: set[Id] = set()
    for each in wanted:
        found = [number for number, name in plain.items() if name == each.strip().casefold()]
        found = found or [number for number in names if str(number) == each.strip()]
        if not found:
            raise DetectorError(f"{place}: {option} {each}: no such class; there are {_listed(names)}")
        chosen.update(found)
    return [number for number in names if number in chosen]


def _listed(names: Mapping[Id, str]) -> str:
    shown = [f"{name} ({number})" for number, name in names.items()]
    more = f" and {len(shown) - 30} more" if len(shown) > 30 else ""
    return (", ".join(shown[:30]) or "none") + more
