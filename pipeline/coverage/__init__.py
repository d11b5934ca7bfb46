"""Coverage: the ground that the flights saw, and how probably a person there would have been detected.

`recall.py` reads how often the detector finds a person of a height in pixels, `ground.py` which ground each
frame shows and how large a person there would be, `formats.py` writes the result.
"""
