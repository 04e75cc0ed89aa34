"""`python -m mainspring.tools generate [--check]`."""

from __future__ import annotations

import sys

from mainspring.tools import generate

sys.exit(generate.main(sys.argv[1:]))
