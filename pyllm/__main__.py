"""`python -m pyllm` is the `pyllm` command."""

from __future__ import annotations

import sys

from pyllm.cli import main

if __name__ == "__main__":
    sys.exit(main())
