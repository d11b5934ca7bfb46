"""The exceptions that mean "the user can correct this"."""


class AnnotateError(Exception):
    """A mistake in the input of the labelling package; the message names the file, line or field and what to do."""


class Refused(AnnotateError):  # noqa: N818 - as in "was refused"
    """An operation that does not fit the labels as they are now; nothing of it was applied."""


class Unusable(AnnotateError):  # noqa: N818 - as in "is unusable"
    """The file of labels is damaged, replaced, or on a disk that takes no more; a decision was not answered."""


class Busy(AnnotateError):  # noqa: N818 - as in "is busy"
    """Another program is writing to the labels; the same request later may succeed."""
