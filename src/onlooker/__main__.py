"""`python -m onlooker`: the same as `onlooker`, for who has not its scripts on the path. Owns nothing; see `cli`."""

import sys

from onlooker.cli import main

if __name__ == "__main__":
    sys.exit(main())
