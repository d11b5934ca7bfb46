"""Counted things in words."""


def counted(count: int, one: str, several: str = "") -> str:
    """A number and what is counted, as "1 tracklet" or "1,204 tracklets".

    Args:
        count: how many there are.
        one: the word for one.
        several: the word for none, or more than one; `one` with an s where it is not given.

    """
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"
