"""``python -m graphcolumns.cli`` is ``graphcolumns``."""

import sys

from graphcolumns.cli.main import main

sys.exit(main())
