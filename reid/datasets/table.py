"""Data sets as a CSV with a row for each crop."""

from pathlib import Path

from reid.datasets.parts import Parts
from reid.datasets.split import split
from reid.errors import ReidError
from reid.labels import PARTS, read_table


def read_csv(table: Path) -> Parts:
    """The data set in the file `table`; its paths are relative to the table's folder and stay within it.

    Columns are those of `reid.labels.read_labels`, and `split`: train, query or gallery. Without it,
    half of the persons are for training, and of the others one crop per camera is a query.

    Raises:
        ReidError: the table or a value in it is not as above; names the line.

    """
    labels = read_table(table, table.parent)
    splits = {label.split for label in labels}
    if splits == {""}:
        return split(labels)
    if "" in splits:
        path = next(label.path for label in labels if not label.split)
        raise ReidError(f"{table}: the row of {path} has no split; give one to every row, or to none")
    return Parts(*([label for label in labels if label.split == part] for part in PARTS))
