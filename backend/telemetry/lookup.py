"""Queries that look up rows for each row of a list of keys or spans, on SQLite and PostgreSQL."""

from collections.abc import Sequence


def looked_up(names: str, *, select: str, table: str, where: str, tail: str) -> dict[str, str]:
    """The statement by `connection.vendor`: rows of `table` (as `r`) for each row of the list (`names`, as `w`).

    `{rows}` in it is for `list_rows`. Through an index of the table, one row of the list after the other: left to
    itself PostgreSQL's planner, which knows nothing of the list, may go through all of the table; OFFSET keeps it
    from that.
    """
    head = f"WITH w ({names}) AS (VALUES {{rows}}) SELECT {select} FROM w CROSS JOIN"  # noqa: S608 - no values
    found = f'"{table}" AS r WHERE {where}'
    return {
        "sqlite": f"{head} {found} {tail}",
        "postgresql": f"{head} LATERAL (SELECT * FROM {found} OFFSET 0) AS r {tail}",  # noqa: S608
    }


def list_rows(rows: Sequence[Sequence[int]]) -> str:
    """Placeholders for these rows; PostgreSQL takes the types from the first one."""
    width = len(rows[0])
    first = ", ".join(["CAST(%s AS bigint)"] * width)
    others = ", ".join(["%s"] * width)
    return ", ".join([f"({first})", *[f"({others})"] * (len(rows) - 1)])
