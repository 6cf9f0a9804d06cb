"""The first observation set: a new device shows data without a click."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

# IPSO objects whose Sensor Value (5700) is what they are for
SENSORS = [
    *range(3300, 3306), 3308, *range(3313, 3331), 3345, 3346,
]  # fmt: skip
PATHS = [
    "/3/0/9",  # battery level
    "/4/0/2",  # radio signal strength
    "/6/0/0",  # latitude
    "/6/0/1",  # longitude
    *(f"/{sensor}/*/5700" for sensor in SENSORS),
    "/3200/*/5500",  # digital input
    "/3342/*/5500",  # on/off switch
    "/3347/*/5500",  # push button
    "/3306/*/5850",  # actuation
    "/3311/*/5850",  # light control
    "/3340/*/5538",  # timer
]


def forwards(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    Profile = apps.get_model("devices", "Profile")
    profile = Profile.objects.create(name="Default", is_default=True)
    Observation = apps.get_model("devices", "ProfileObservation")
    Observation.objects.bulk_create(Observation(profile=profile, path=path) for path in PATHS)


class Migration(migrations.Migration):
    dependencies = [("devices", "0001_initial")]

    operations = [migrations.RunPython(forwards, migrations.RunPython.noop)]
