"""``python -m optimizer``, and what spark-submit starts: it wants a file."""

from __future__ import annotations

import sys
from pathlib import Path

# Started as a file, its folder is on the path, and would hide packages by their names.
sys.path = [entry for entry in sys.path if entry != str(Path(__file__).parent)]

if __name__ == "__main__":
    from optimizer.cli.main import main

    main()
