"""Finding rows by the words that people type."""

from django.db.models import Q


def words_match(search: str, *fields: str) -> Q:
    """Every word of `search` is in one of the fields, upper and lower case alike; no word: every row."""
    every = Q()
    for word in search.split():
        one = Q()
        for field in fields:
            one |= Q(**{f"{field}__icontains": word})
        every &= one
    return every
