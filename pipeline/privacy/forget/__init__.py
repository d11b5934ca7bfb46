"""Erasing an identity from a workspace: every crop, row, vector, label and picture.

`selection.py` finds what belongs to it, `rewrite.py` writes the affected files without it, beside the old ones,
and `commit.py` moves them into place so that a kill at any moment loses nothing.
"""

from pipeline.privacy.forget.commit import forget, resume
from pipeline.privacy.forget.selection import Selection, select_identity

__all__ = ["Selection", "forget", "resume", "select_identity"]
