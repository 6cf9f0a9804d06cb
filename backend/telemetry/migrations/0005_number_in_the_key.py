"""PostgreSQL keeps a sample's number beside its key: a chart is read from the index alone.

The samples of a series lie far apart in the table, in the order in which all series' samples came. On SQLite the
table itself is in the order of its key.
"""

from typing import Any

from django.db import migrations


def _key(columns: str) -> Any:
    def change(apps: Any, schema_editor: Any) -> None:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(
                'ALTER TABLE "telemetry_sample" DROP CONSTRAINT "telemetry_sample_pkey", '
                f'ADD CONSTRAINT "telemetry_sample_pkey" PRIMARY KEY {columns}'
            )

    return change


class Migration(migrations.Migration):
    """Rebuilds the index of a table that may be large; nothing is stored meanwhile."""

    dependencies = [("telemetry", "0004_remove_rollup_kept_since_index")]

    operations = [
        migrations.RunPython(
            _key('("series_id", "time", "seq") INCLUDE ("number")'),
            _key('("series_id", "time", "seq")'),
        )
    ]
