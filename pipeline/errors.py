"""The one exception that means "the user can mend this"."""


class PipelineError(Exception):
    """A mistake in the input of a stage; the message names the file, field or frame and what to do."""
