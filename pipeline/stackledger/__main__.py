"""Lets `python -m stackledger` run the command line."""

import sys

from stackledger.cli import main

sys.exit(main())
