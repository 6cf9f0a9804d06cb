"""Firmware versions as devices and images write them."""


def version_plain(text: str) -> str:
    """Without blanks around it, a leading `v` and an empty build number: `" v1.2.3+0"` → `"1.2.3"`."""
    plain = text.strip()
    if plain[:1] in {"v", "V"} and plain[1:2].isdigit():
        plain = plain[1:]
    return plain.removesuffix("+0")


def version_same(a: str, b: str) -> bool:
    """Do both name the same version? An empty one is the same as none, not even as another empty one."""
    first, second = version_plain(a), version_plain(b)
    return bool(first) and first == second
