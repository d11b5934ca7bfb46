"""Images and random rows for the tests of the readers."""

from hypothesis import strategies as st
from PIL import Image

SIZE = (300, 200)


def picture(path, size=SIZE, orientation=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.new("RGB", size).save(path, exif=exif)


@st.composite
def data_sets(draw):
    """Rows (class, box in px) of one image, and the names of the classes."""
    names = draw(st.permutations(["person", "car", "dog"]))
    sides = st.integers(1, 20)
    boxes = st.tuples(st.integers(0, 279), st.integers(0, 179), sides, sides)
    rows = draw(st.lists(st.tuples(st.sampled_from(names), boxes), min_size=1, max_size=6, unique=True))
    return names, [*rows, ("person", (1, 2, 3, 4))]
