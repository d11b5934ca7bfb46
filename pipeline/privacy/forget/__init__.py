"""Taking an identity out of a workspace: every crop, row, vector, label and picture.

`whom.py` says what belongs to it, `rewrite.py` makes all files anew that hold some of it, beside the old ones, and
`commit.py` puts them in place so that a kill at any moment loses nothing.
"""

from pipeline.privacy.forget.commit import forget, resume
from pipeline.privacy.forget.selection import Selection, select_identity

__all__ = ["Selection", "forget", "resume", "select_identity"]
