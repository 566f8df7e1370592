"""`python -m cutswap`."""

import sys

from cutswap.cli import main

sys.exit(main())
