"""`python -m backend`: run analyses and list what there is, without a browser."""

import sys

from backend.cli import main

sys.exit(main(sys.argv[1:]))
