"""The colours of identities: told apart, legible, and never those of somebody without an identity."""

from itertools import combinations

import numpy as np

from pipeline.pages.palette import identity_colour, identity_rgb
from pipeline.stages.overlay import AMBER

NUMBERS = range(1, 25)


def linear(rgb):
    part = np.array(rgb) / 255
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def cielab(rgb):
    """CIE 1976 L*a*b* under D65."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(to_xyz @ linear(rgb) / (0.9505, 1.0, 1.089))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_colours_of_24_people_are_told_apart():
    colours = [*map(identity_rgb, NUMBERS), AMBER]
    nearest = min(np.linalg.norm(cielab(one) - cielab(other)) for one, other in combinations(colours, 2))
    assert nearest > 15  # a difference of 2.3 can just be seen (Mahy and others, 1994)
    assert identity_colour(25) == identity_colour(1)
    assert identity_rgb(1) == tuple(int(identity_colour(1)[place : place + 2], 16) for place in (1, 3, 5))


def test_black_letters_on_them_are_legible_and_bars_are_seen_on_white():
    for number in NUMBERS:
        luminance = float(linear(identity_rgb(number)) @ (0.2126, 0.7152, 0.0722))
        assert (luminance + 0.05) / 0.05 >= 4.5
        assert 1.05 / (luminance + 0.05) >= 1.6
