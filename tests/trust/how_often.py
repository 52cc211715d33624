"""How often something is broken on purpose: a little in CI, more with DIGITLIB_TRUST=1."""

import os


def times(few, many):
    """`few`, or `many` where DIGITLIB_TRUST is set."""
    return many if os.environ.get("DIGITLIB_TRUST") else few
