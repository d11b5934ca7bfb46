"""The exception for mistakes that the user can correct."""


class DetectorError(Exception):
    """A mistake in the input of the detector package; the message names the file or field, and what to do."""
