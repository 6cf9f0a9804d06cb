"""Old alerts and messages go in small steps."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from backend.alerts.models import Alert, Delivery, DeliveryState

# rows of one transaction
STEP = 500


def retention_step(*, now: datetime) -> bool:
    """Deletes some alerts that were cleared, and messages that ended, longer ago than ALERTS_DAYS; is there more?"""
    before = now - timedelta(days=settings.ALERTS_DAYS)
    with transaction.atomic():
        alerts = list(Alert.objects.filter(cleared_at__lt=before).order_by("pk").values_list("pk", flat=True)[:STEP])
        Alert.objects.filter(pk__in=alerts).delete()
        # those of alerts went with them: these are tests, and messages of alerts that last
        ended = Delivery.objects.exclude(state=DeliveryState.WAITING).filter(ended_at__lt=before)
        deliveries = list(ended.order_by("pk").values_list("pk", flat=True)[:STEP])
        Delivery.objects.filter(pk__in=deliveries).delete()
    return STEP in {len(alerts), len(deliveries)}
