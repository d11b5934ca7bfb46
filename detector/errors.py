"""The one exception that means "the user can mend this"."""


class DetectorError(Exception):
    """A mistake in the input of the detector package; the message names the file or field and what to do."""
