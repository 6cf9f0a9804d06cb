"""Writes to rules, channels, alerts and their messages; and the evaluation that `sync` calls."""

from backend.alerts.services.alerts import alerts_acknowledge
from backend.alerts.services.channels import channel_create, channel_delete, channel_test, channel_update
from backend.alerts.services.evaluation import Evaluated, Evaluator, evaluate
from backend.alerts.services.retention import retention_step
from backend.alerts.services.rules import RuleFields, rule_create, rule_delete, rule_enable, rule_fields, rule_update

__all__ = [
    "Evaluated",
    "Evaluator",
    "RuleFields",
    "alerts_acknowledge",
    "channel_create",
    "channel_delete",
    "channel_test",
    "channel_update",
    "evaluate",
    "retention_step",
    "rule_create",
    "rule_delete",
    "rule_enable",
    "rule_fields",
    "rule_update",
]
