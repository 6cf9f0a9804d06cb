"""The text of lines is searched through an index of its pieces of three letters.

SQLite: an FTS5 table of the same rowids, without texts and positions of its own; triggers keep it up to date.
PostgreSQL: pg_trgm. Both only name candidates; each is compared with what is searched for (`backend.logs.search`).
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

SQLITE = [
    """
    CREATE VIRTUAL TABLE "logs_search" USING fts5
        ("text", content = 'logs_line', content_rowid = 'id', tokenize = 'trigram', detail = none, columnsize = 0)
    """,
    """
    CREATE TRIGGER "logs_search_insert" AFTER INSERT ON "logs_line" BEGIN
        INSERT INTO "logs_search" ("rowid", "text") VALUES (new."id", new."text");
    END
    """,
    """
    CREATE TRIGGER "logs_search_delete" AFTER DELETE ON "logs_line" BEGIN
        INSERT INTO "logs_search" ("logs_search", "rowid", "text") VALUES ('delete', old."id", old."text");
    END
    """,
    """
    CREATE TRIGGER "logs_search_update" AFTER UPDATE OF "text" ON "logs_line" BEGIN
        INSERT INTO "logs_search" ("logs_search", "rowid", "text") VALUES ('delete', old."id", old."text");
        INSERT INTO "logs_search" ("rowid", "text") VALUES (new."id", new."text");
    END
    """,
    """INSERT INTO "logs_search" ("logs_search") VALUES ('rebuild')""",
]
SQLITE_BACK = [
    'DROP TRIGGER "logs_search_insert"',
    'DROP TRIGGER "logs_search_delete"',
    'DROP TRIGGER "logs_search_update"',
    'DROP TABLE "logs_search"',
]
POSTGRESQL = [
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    'CREATE INDEX "logs_line_text" ON "logs_line" USING gin (("text" COLLATE "C") gin_trgm_ops)',
]
POSTGRESQL_BACK = ['DROP INDEX "logs_line_text"']


def run(editor: BaseDatabaseSchemaEditor, statements: list[str]) -> None:
    for statement in statements:
        editor.execute(statement)


def forwards(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    run(editor, SQLITE if editor.connection.vendor == "sqlite" else POSTGRESQL)


def backwards(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    run(editor, SQLITE_BACK if editor.connection.vendor == "sqlite" else POSTGRESQL_BACK)


class Migration(migrations.Migration):
    dependencies = [("logs", "0002_clock_losses_problem")]

    operations = [migrations.RunPython(forwards, backwards)]
