"""Finding a person in a workspace: who of its tracklets looks like the person in a photo, and how sure that is.

`query.py` turns photos, crops or an identity into features, `gallery.py` the workspace's tracklets; `search.py`
ranks them, `calibration.py` says how often an answer is right, `audit.py` records searches. `in_app.py` is
the search of the labelling app.
"""
