"""The exceptions that mean "the user can correct this"."""


class AnnotateError(Exception):
    """A mistake in the input of the labelling package; the message names the file, line or field and what to do."""


class Refused(AnnotateError):  # noqa: N818 - as in "was refused"
    """An operation that does not fit the labels as they are now; nothing of it was applied."""
