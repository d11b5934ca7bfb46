"""The labels by which other tools call a person."""

from collections import Counter
from collections.abc import Collection, Iterable

from annotate.errors import AnnotateError
from annotate.exchange.records import TrackBox

_NAMES = {
    *("person", "persons", "people", "pedestrian", "pedestrians", "human", "humans"),
    *("mensch", "menschen", "fussgänger", "fussgänger", "fussgaenger", "fussgaenger"),
    *("personne", "personnes", "piéton", "piétons", "pieton", "pietons"),
    *("persona", "personas", "peatón", "peatones", "peaton", "peatoni", "persone", "pedone", "pedoni"),
    *(
        "pessoa",
        "pessoas",
        "pedestre",
        "pedestres",
        "peão",
        "peões",
        "persoon",
        "personen",
        "voetganger",
        "voetgangers",
    ),
    *("osoba", "osoby", "pieszy", "piesi", "člověk", "chodec", "człowiek", "ludzie"),
    *("человек", "люди", "пешеход", "пешеходы", "людина", "пішохід"),
    *(
        "kişi",
        "insan",
        "yaya",
        "شخص",
        "أشخاص",
        "人",
        "行人",
        "人物",
        "人类",
        "人類",
        "人間",
        "歩行者",
        "사람",
        "보행자",
    ),
}
_MOST_LISTED = 20


def is_person(label: str) -> bool:
    """Whether the label is a word for a person, in any case."""
    return _plain(label) in _NAMES


def keep_persons(
    shown: str, boxes: Iterable[TrackBox], names: Collection[str] = ()
) -> tuple[list[TrackBox], Counter[str]]:
    """The boxes whose label is a person's, and how many others there are by label.

    Args:
        shown: the file, for messages.
        boxes: of all labels.
        names: the labels that are persons; empty: the words that mean one.

    Raises:
        AnnotateError: a name is no label of the file, or no label is a person's; lists the labels.

    """
    all_boxes = list(boxes)
    labels = Counter(box.label for box in all_boxes)
    wanted = {_plain(name) for name in names}
    persons = {label for label in labels if (_plain(label) in wanted if wanted else is_person(label))}
    missing = sorted(wanted - {_plain(label) for label in labels})
    if missing or (labels and not persons):
        listed = ", ".join(f"'{label}' ({count:,})" for label, count in labels.most_common(_MOST_LISTED))
        more = f" and {len(labels) - _MOST_LISTED} more" if len(labels) > _MOST_LISTED else ""
        what = f"no label '{missing[0]}'" if missing else "no label that is known as a person's"
        raise AnnotateError(
            f"{shown}: {what}; its labels are {listed or 'none'}{more}: name each that is a person by --person"
        )
    left_out = Counter({label: count for label, count in labels.items() if label not in persons})
    return [box for box in all_boxes if box.label in persons], left_out


def _plain(label: str) -> str:
    return label.strip().casefold()
