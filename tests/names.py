"""Names of a test's parameters."""

import re


def without_address(value):
    """Return the `repr` of a value without where it lies in memory, which is another in each process."""
    return re.sub(r" (at 0x[0-9a-f]+|id='\d+')", "", repr(value))
