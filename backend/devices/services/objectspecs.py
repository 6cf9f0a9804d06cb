"""Writes to object definitions."""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from backend.devices.models import ObjectDefinition, ObjectSpec

# `fetched_at` of a definition that may hold no longer: it is to be had from Leshan anew
DOUBTED = datetime(1970, 1, 1, tzinfo=UTC)


def objectspecs_store(*, specs: Iterable[Mapping[str, Any]], at: datetime) -> int:
    """Stores definitions as Leshan gives them, newer ones over older ones; how many. Unusable ones are left out."""
    rows: dict[tuple[int, str], ObjectSpec] = {}
    for spec in specs:
        object_id, version = spec.get("id"), str(spec.get("version") or "1.0")
        if isinstance(object_id, bool) or not isinstance(object_id, int) or object_id < 0 or len(version) > 8:
            continue
        name = str(spec.get("name") or f"Object {object_id}")[:255]
        rows[object_id, version] = ObjectSpec(
            object_id=object_id, version=version, name=name, spec=dict(spec), fetched_at=at
        )
    ObjectSpec.objects.bulk_create(
        rows.values(),
        update_conflicts=True,
        unique_fields=["object_id", "version"],
        update_fields=["name", "spec", "fetched_at"],
    )
    return len(rows)


def objectspecs_doubt(*, pairs: Iterable[tuple[int, str]]) -> None:
    """These (object, version) may hold no longer; they are used until Leshan has been asked."""
    for object_id, version in pairs:
        ObjectSpec.objects.filter(object_id=object_id, version=version).update(fetched_at=DOUBTED)


def objectspecs_drop(*, object_ids: Collection[int]) -> int:
    """Removes those of these objects that were doubted and that Leshan has not told of again; how many."""
    deleted, _ = ObjectSpec.objects.filter(object_id__in=object_ids, fetched_at=DOUBTED).delete()
    return deleted


def definitions_problems(*, problems: Mapping[int, str]) -> None:
    """Notes Leshan's word on the definitions with these ids: why it refuses one, "" where it takes it."""
    for row in ObjectDefinition.objects.filter(pk__in=list(problems)).only("pk", "problem"):
        if row.problem != problems[row.pk]:
            ObjectDefinition.objects.filter(pk=row.pk).update(problem=problems[row.pk])
