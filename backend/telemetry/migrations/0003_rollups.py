"""Rollups, the hours that are not in them yet, and dashboards."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

# as samples: rows live in their primary key's b-tree
ROLLUP = """
CREATE TABLE "telemetry_rollup" (
    "series_id" bigint NOT NULL REFERENCES "telemetry_series" ("id") DEFERRABLE INITIALLY DEFERRED,
    "level" integer NOT NULL,
    "start" bigint NOT NULL,
    "count" integer NOT NULL,
    "others" integer NOT NULL,
    "minimum" real NULL,
    "maximum" real NULL,
    "mean" real NULL,
    "first" real NULL,
    "last" real NULL,
    "kept_since" bigint NULL,
    "minutes" bool NULL,
    PRIMARY KEY ("series_id", "level", "start")
) WITHOUT ROWID
"""
STALE = """
CREATE TABLE "telemetry_stalehour" (
    "series_id" bigint NOT NULL REFERENCES "telemetry_series" ("id") DEFERRABLE INITIALLY DEFERRED,
    "hour" bigint NOT NULL,
    PRIMARY KEY ("series_id", "hour")
) WITHOUT ROWID
"""


def recreate(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """The tables are still empty: this runs right after they were made. Their indexes come at the migration's end."""
    if editor.connection.vendor == "sqlite":
        for table, create in {"telemetry_rollup": ROLLUP, "telemetry_stalehour": STALE}.items():
            editor.execute(f'DROP TABLE "{table}"')
            editor.execute(create)


def mark(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Samples from before there were rollups: `sync` sums up the hours that are marked here."""
    # rounds down, before 1970 too
    hour = '("time" - (("time" % 3600000000) + 3600000000) % 3600000000) / 3600000000'
    editor.execute(
        f'INSERT INTO "telemetry_stalehour" ("series_id", "hour") '  # noqa: S608 - no input
        f'SELECT DISTINCT "series_id", {hour} FROM "telemetry_sample"',
        # a % is one, no placeholder
        params=None,
    )


class Migration(migrations.Migration):
    dependencies = [
        ("telemetry", "0002_sample_without_rowid"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(model_name="series", name="kept", field=models.BigIntegerField(default=0)),
        migrations.CreateModel(
            name="StaleHour",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "series_id", "hour", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("hour", models.BigIntegerField(db_index=True)),
                (
                    "series",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="stale_hours",
                        to="telemetry.series",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Dashboard",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=64, unique=True)),
                ("charts", models.JSONField(default=list)),
                ("range", models.CharField(default="24h", max_length=16)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("changed_at", models.DateTimeField(auto_now=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("name", ""), _negated=True), name="telemetry_dashboard_named"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Rollup",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "series_id", "level", "start", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("level", models.IntegerField(choices=[(60, "Minute"), (3600, "Hour"), (86400, "Day")])),
                ("start", models.BigIntegerField()),
                ("count", models.IntegerField()),
                ("others", models.IntegerField(default=0)),
                ("minimum", models.FloatField(null=True)),
                ("maximum", models.FloatField(null=True)),
                ("mean", models.FloatField(null=True)),
                ("first", models.FloatField(null=True)),
                ("last", models.FloatField(null=True)),
                ("kept_since", models.BigIntegerField(null=True)),
                ("minutes", models.BooleanField(null=True)),
                (
                    "series",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="rollups",
                        to="telemetry.series",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("kept_since__isnull", False)),
                        fields=["kept_since"],
                        name="telemetry_rollup_kept_since",
                    )
                ],
            },
        ),
        migrations.RunPython(recreate, migrations.RunPython.noop),
        migrations.RunPython(mark, migrations.RunPython.noop),
    ]
