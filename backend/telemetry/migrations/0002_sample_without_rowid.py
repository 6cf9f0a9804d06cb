"""On SQLite, samples live in their primary key's b-tree: about half the bytes of a table with rowid and unique key."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

CREATE = """
CREATE TABLE "telemetry_sample" (
    "series_id" bigint NOT NULL REFERENCES "telemetry_series" ("id") DEFERRABLE INITIALLY DEFERRED,
    "time" bigint NOT NULL,
    "seq" smallint NOT NULL,
    "number" real NULL,
    "text" text NULL,
    "delay" bigint NULL,
    PRIMARY KEY ("series_id", "time", "seq")
){without_rowid}
"""


def recreate(editor: BaseDatabaseSchemaEditor, *, without_rowid: str) -> None:
    """The table is still empty: this runs right after 0001."""
    if editor.connection.vendor == "sqlite":
        editor.execute('DROP TABLE "telemetry_sample"')
        editor.execute(CREATE.format(without_rowid=without_rowid))


def forwards(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    recreate(editor, without_rowid=" WITHOUT ROWID")


def backwards(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    recreate(editor, without_rowid="")


class Migration(migrations.Migration):
    dependencies = [("telemetry", "0001_initial")]

    operations = [migrations.RunPython(forwards, backwards)]
