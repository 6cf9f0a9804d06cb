"""How a boot's clock is steadied, who gave up lost lines, why a line is unread."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("logs", "0001_initial")]

    operations = [
        migrations.AddField("boot", "stretch_started", models.BigIntegerField(default=0), preserve_default=False),
        migrations.AddField("boot", "stretch_uptime", models.BigIntegerField(default=0), preserve_default=False),
        migrations.AddField("boot", "stretch_messages", models.IntegerField(default=0)),
        migrations.AddField("boot", "last_time", models.BigIntegerField(null=True)),
        migrations.AlterField("line", "module", models.CharField(blank=True, max_length=124)),
        migrations.AddField("line", "problem", models.CharField(blank=True, default="", max_length=200), False),
        migrations.AddField("loss", "since", models.BigIntegerField(null=True)),
        migrations.AddField("loss", "lost_before", models.BigIntegerField(default=0)),
        migrations.AddField("loss", "lost_after", models.BigIntegerField(default=0)),
        migrations.AddIndex("loss", models.Index(fields=["time"], name="logs_loss_time")),
        migrations.AddIndex("loss", models.Index(fields=["boot", "last"], name="logs_loss_boot_last")),
    ]
