"""`python -m cutswap`."""

import sys

from cutswap.commands.parser import main

sys.exit(main())
