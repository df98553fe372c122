"""`python benchmarks/compare`."""

import sys
from pathlib import Path

if not __package__:  # run as a folder: its modules must not hide others of the same name
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from compare.cli import main

if __name__ == "__main__":
    sys.exit(main())
