"""`python -m pipeline` is `uavpipe`."""

from pipeline.cli import main

main()
