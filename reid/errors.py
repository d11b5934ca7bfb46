"""The one exception that means "the user can mend this"."""


class ReidError(Exception):
    """A mistake in the input of the re-id package; the message names the file or field and what to do."""
