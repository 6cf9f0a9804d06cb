"""The retention goes through each series from its oldest hour on: an index by `kept_since` was never asked."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("telemetry", "0003_rollups")]

    operations = [migrations.RemoveIndex(model_name="rollup", name="telemetry_rollup_kept_since")]
