"""What people do with alerts."""

import logging
from collections.abc import Collection

from django.db import transaction
from django.utils import timezone

from backend.accounts.models import User
from backend.alerts.errors import AlertError
from backend.alerts.models import Alert

logger = logging.getLogger(__name__)

LONGEST_NOTE = 500
# in one request
MOST = 1000


def alerts_acknowledge(*, alert_ids: Collection[int], note: str = "", by: User) -> int:
    """Somebody has seen these alerts and takes care; how many were not acknowledged before.

    Whoever was first stays. Raises AlertError on a note that is too long, or too many alerts.
    """
    note = " ".join(note.replace("\0", "").split())
    if len(note) > LONGEST_NOTE:
        raise AlertError(f"The note has {len(note)} characters: at most {LONGEST_NOTE}.")
    if len(alert_ids) > MOST:
        raise AlertError(f"These are {len(alert_ids)} alerts: acknowledge at most {MOST} at once.")
    with transaction.atomic():
        # in one order, as `sync` takes them: nobody waits for each other
        new = Alert.objects.select_for_update().filter(pk__in=alert_ids, acknowledged_at=None).order_by("pk")
        count = Alert.objects.filter(pk__in=list(new.values_list("pk", flat=True))).update(
            acknowledged_at=timezone.now(), acknowledged_by=by, note=note, untold=True
        )
    if count:
        logger.info("%d alerts acknowledged by %s", count, by)
    return count
