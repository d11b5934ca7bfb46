"""Erasing an identity from a workspace: every crop, row, vector, label and picture.

`places.py` knows where the files are, also behind links. `selection.py` finds what belongs to the identity,
`networks.py` what was trained on it. `rewrite.py` writes the affected files without it, beside the old ones,
`commit.py` moves them into place so that a kill at any moment loses nothing; `verify.py` checks that it is gone.
"""

from pipeline.privacy.forget.commit import forget, resume
from pipeline.privacy.forget.places import find_places
from pipeline.privacy.forget.selection import Selection, select_identity

__all__ = ["Selection", "find_places", "forget", "resume", "select_identity"]
