"""Typed reading of environment variables; every mistake names the variable and what it should hold."""

import os
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}


def env_str(name: str, default: str = "") -> str:
    """The variable's text, or the default where it is unset."""
    return os.environ.get(name, default)


def env_bool(name: str, *, default: bool = False) -> bool:
    """1/true/yes/on or 0/false/no/off; anything else raises ImproperlyConfigured."""
    raw = os.environ.get(name)
    if raw is None:
        return default
    if raw.lower() in TRUE:
        return True
    if raw.lower() in FALSE:
        return False
    raise ImproperlyConfigured(f"{name}={raw!r}: say 1 or 0")


def env_int(name: str, *, default: int, least: int, most: int) -> int:
    """A whole number from `least` to `most`; anything else raises ImproperlyConfigured."""
    raw = os.environ.get(name, "").strip()
    if not raw:
        return default
    if not (raw.isascii() and raw.isdecimal() and least <= int(raw) <= most):
        raise ImproperlyConfigured(f"{name}={raw!r}: say a whole number from {least} to {most}")
    return int(raw)


def env_choice(name: str, known: tuple[str, ...]) -> str:
    """One of the known words, the first where the variable is unset; anything else raises ImproperlyConfigured."""
    raw = os.environ.get(name, "").strip().lower() or known[0]
    if raw not in known:
        raise ImproperlyConfigured(f"{name}={raw!r}: say one of {', '.join(known)}")
    return raw


def env_list(name: str, default: list[str]) -> list[str]:
    """A comma-separated list; empty entries are dropped."""
    raw = os.environ.get(name)
    if raw is None:
        return default
    return [part.strip() for part in raw.split(",") if part.strip()]


def env_path(name: str) -> Path | None:
    """An absolute path, or None where the variable is unset or empty."""
    raw = os.environ.get(name)
    return Path(raw).expanduser().absolute() if raw else None


def database(url: str, sqlite_file: Path) -> dict[str, object]:
    """Django's DATABASES entry: SQLite in `sqlite_file` without a URL, else PostgreSQL.

    `postgresql://USER:PASSWORD@HOST:PORT/NAME`; query parameters go to the driver as options (`?sslmode=require`);
    a host may be a socket folder (`?host=/run/postgresql`).
    Raises ImproperlyConfigured on another scheme or a URL without a database name.
    """
    if not url:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(sqlite_file),
            # the design's "database manners": writers wait for each other at BEGIN, never in mid-transaction
            "OPTIONS": {
                "timeout": 30,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=30000;",
            },
        }
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured(
            f"DATABASE_URL has the scheme {parts.scheme!r}: leave it unset for SQLite or use postgresql://USER:PASSWORD@HOST:PORT/NAME"
        )
    name = unquote(parts.path.lstrip("/"))
    if not name:
        raise ImproperlyConfigured("DATABASE_URL names no database: postgresql://USER:PASSWORD@HOST:PORT/NAME")
    options = dict(parse_qsl(parts.query))
    host = options.pop("host", None) or unquote(parts.hostname or "")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": str(options.pop("port", None) or parts.port or ""),
        "OPTIONS": options,
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }
