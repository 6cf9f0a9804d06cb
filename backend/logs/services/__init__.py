"""Writing log lines."""

from backend.logs.services.ingest import Incoming, Kept, messages_store
from backend.logs.services.retention import RetentionStep, retention_step

__all__ = ["Incoming", "Kept", "RetentionStep", "messages_store", "retention_step"]
