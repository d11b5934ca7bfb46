"""A colour for each identity: the same in the report, in the overlay and in clips."""

# Each is the one farthest from those before it in OKLab (Ottosson 2020), from a grid over sRGB, among those with a
# contrast of 4.5 to black, for letters on it, and of 1.6 to white; and far from the amber of persons without an
# identity. Two of them are at least 0.11 apart; 0.02 can be seen side by side. People who do not see red or green
# cannot tell them all: the number is always beside it.
_COLOURS = (
    *("#0087c3", "#d25a00", "#ff00ff", "#00b400", "#d2b4ff", "#00e1d2", "#965aff", "#ff69a5"),
    *("#a5a578", "#00875a", "#a55a96", "#87e13c", "#4bb4ff", "#ffa596", "#e100a5", "#ff004b"),
    *("#d278f0", "#c3d2a5", "#a596c3", "#2d69ff", "#00b4a5", "#967800", "#f08700", "#c300f0"),
)


def identity_colour(number: int) -> str:
    """The colour of identity `number`, as "#0087c3"; of 24 numbers in a row no two have the same."""
    return _COLOURS[(number - 1) % len(_COLOURS)]


def identity_rgb(number: int) -> tuple[int, int, int]:
    """The colour of identity `number`, 0 to 255 each."""
    red, green, blue = bytes.fromhex(identity_colour(number)[1:])
    return red, green, blue
