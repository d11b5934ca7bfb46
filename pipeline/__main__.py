"""The program `uavpipe`, which is `python -m pipeline` too."""

import signal

# Before the long imports and after all work, Ctrl-C ends the process at once, silently; not where it is ignored.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from pipeline.cli import main

if __name__ == "__main__":
    main()
