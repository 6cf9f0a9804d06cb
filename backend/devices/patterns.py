"""The patterns of profile rules: `*` and `?` as in file names."""

import re

_ANY = {"*": r"[\s\S]*", "?": r"[\s\S]"}


def pattern_regex(pattern: str) -> str:
    """The regular expression of a pattern, for Python and databases alike, without its ends."""
    return "".join(_ANY.get(one) or re.escape(one) for one in pattern)
