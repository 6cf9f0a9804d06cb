"""One row per device of a selection in one statement, for any number of devices."""

from collections.abc import Mapping
from typing import Any

from django.db import connection, models
from django.db.models import Field, QuerySet

from backend.devices.models import Device


def rows_insert(
    *,
    model: type[models.Model],
    devices: QuerySet[Device],
    values: Mapping[str, Any],
    ignore_conflicts: bool = False,
) -> int:
    """Makes a row of `model` (which has a `device`) for each device, in the order of endpoints; how many.

    `values` by column attribute (`batch_id`); the others have their defaults, the same one in every row.
    INSERT … SELECT: the devices never leave the database.
    """
    columns: list[str] = []
    selected: list[str] = []
    parameters: list[Any] = []
    quote = connection.ops.quote_name
    field: Field[Any, Any]
    for field in model._meta.concrete_fields:
        if field.primary_key:
            continue
        columns.append(quote(str(field.column)))
        if field.name == "device":
            selected.append("chosen.id")
            continue
        value = values[field.attname] if field.attname in values else field.get_default()
        parameters.append(field.get_db_prep_save(value, connection))
        # to PostgreSQL, a bare parameter has no type of its own
        postgresql = connection.vendor == "postgresql"
        selected.append(f"CAST(%s AS {field.db_type(connection)})" if postgresql else "%s")
    if not devices.query.is_sliced:
        devices = devices.order_by()
    inner, inner_parameters = devices.values("pk").query.sql_with_params()
    statement = ["INSERT INTO", quote(model._meta.db_table), f"({', '.join(columns)})"]
    statement += ["SELECT", ", ".join(selected), "FROM", quote(Device._meta.db_table), "chosen"]
    statement += ["WHERE chosen.id IN", f"({inner})", "ORDER BY chosen.endpoint"]
    if ignore_conflicts:
        statement.append("ON CONFLICT DO NOTHING")
    with connection.cursor() as cursor:
        cursor.execute(" ".join(statement), [*parameters, *inner_parameters])
        return int(cursor.rowcount)
