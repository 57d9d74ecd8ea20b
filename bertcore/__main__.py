"""The command `bertcore`, also as `python -m bertcore`."""

import sys

from bertcore.command.app import main

if __name__ == "__main__":
    sys.exit(main())
