"""Lists of alerts: what the address asks for, and the links that change one thing of it."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Page, Paginator
from django.db.models import F
from django.http import QueryDict
from django.urls import reverse

from backend.alerts.models import Alert, Rule, Severity
from backend.alerts.selectors import AlertCounts, alert_counts, alert_list
from backend.devices.models import Device
from backend.ui.alerts.words import ALERT_STATES, SEVERITIES, state_of
from backend.ui.legend import StateInfo
from backend.ui.listing import Chip

PAGE_SIZE = 50
LONGEST_SEARCH = 255
# what is shown where the address does not say: what is wrong now
NOW = "active"


@dataclass(frozen=True)
class AlertView:
    """One alert in words."""

    alert: Alert
    state: StateInfo

    @property
    def moment_url(self) -> str:
        """The device's values at that time, "" for an alert about its status."""
        if not self.alert.path:
            return ""
        query = {"s": f"{self.alert.device.endpoint}{self.alert.path}", "at": self.alert.opened_at.isoformat()}
        return f"{reverse('explore')}?{urlencode(query)}"

    @property
    def logs_url(self) -> str:
        """The device's log lines of that time."""
        query = {"device": self.alert.device.endpoint, "at": self.alert.opened_at.isoformat()}
        return f"{reverse('logs')}?{urlencode(query)}"


def alert_view(alert: Alert) -> AlertView:
    """The alert for a page."""
    return AlertView(alert, state_of(alert))


@dataclass(frozen=True)
class AlertList:
    """A page of alerts with its filters."""

    page: Page[Alert]
    rows: list[AlertView]
    chips: list[Chip]
    query: QueryDict
    state: str
    search: str
    severity: str
    rule: Rule | None
    device: Device | None
    base: str

    def url(self, **changes: str | None) -> str:
        """This address with some parameters changed (None: without), on the first page."""
        query = self.query.copy()
        query.pop("page", None)
        for name, value in changes.items():
            query.pop(name, None)
            if value:
                query[name] = value
        return f"{self.base}?{query.urlencode()}" if query else self.base

    @property
    def filtered(self) -> bool:
        """Is it more than the state that was chosen?"""
        return bool(self.search or self.severity or self.rule or self.device)

    @property
    def previous_url(self) -> str:
        """The page before, "" where there is none."""
        return self.url(page=str(self.page.previous_page_number())) if self.page.has_previous() else ""

    @property
    def next_url(self) -> str:
        """The next page, "" where there is none."""
        return self.url(page=str(self.page.next_page_number())) if self.page.has_next() else ""

    @property
    def kept(self) -> list[tuple[str, str]]:
        """What the search form sends again without showing it."""
        return [(name, self.query.get(name, "")) for name in ("state", "rule", "device") if name in self.query]

    @property
    def without_rule_url(self) -> str:
        """Alerts of all rules."""
        return self.url(rule=None)

    @property
    def without_device_url(self) -> str:
        """Alerts of all devices."""
        return self.url(device=None)


def _rule(text: str) -> Rule | None:
    return Rule.objects.filter(pk=int(text)).first() if text.isascii() and text.isdecimal() and len(text) < 19 else None


def alerts_of(query: QueryDict, *, base: str, rule: Rule | None = None) -> AlertList:
    """By `state`, `severity`, `rule` (id), `device` (endpoint), `search`, `page`; nonsense counts as not given.

    Without a state: what is wrong now, what nobody has acknowledged first. `rule`: only of this one, all states.
    """
    known = {*ALERT_STATES, NOW, "all"}
    default = "all" if rule else NOW
    state = query.get("state", default)
    state = state if state in known else default
    severity = query.get("severity", "")
    severity = severity if severity in Severity.values else ""
    search = query.get("search", "")[:LONGEST_SEARCH].strip()
    asked = rule or _rule(query.get("rule", ""))
    endpoint = query.get("device", "")
    device = Device.objects.filter(endpoint=endpoint).first() if endpoint and "\0" not in endpoint else None
    kept = QueryDict(mutable=True)
    for name, value in (
        ("state", state if state != default else ""),
        ("severity", severity),
        ("rule", str(asked.pk) if asked and not rule else ""),
        ("device", device.endpoint if device else ""),
        ("search", search),
    ):
        if value:
            kept[name] = value
    found = alert_list(
        state="" if state == "all" else state,
        severity=severity,
        rule=asked.pk if asked else None,
        device=device,
        search=search,
    )
    if state in {NOW, "open", "acknowledged"}:
        # "critical" comes before "warning" in the alphabet, too
        found = found.order_by(F("acknowledged_at").asc(nulls_first=True), "severity", "-id")
    page = Paginator(found, PAGE_SIZE).get_page(query.get("page"))
    if page.number > 1:
        kept["page"] = str(page.number)
    made = AlertList(
        page=page,
        rows=[alert_view(one) for one in page.object_list],
        chips=[],
        query=kept,
        state=state,
        search=search,
        severity=severity,
        rule=None if rule else asked,
        device=device,
        base=base,
    )
    counts = alert_counts() if rule is None else None
    made.chips.extend(_chips(made, counts, default))
    return made


def _chips(shown: AlertList, counts: AlertCounts | None, default: str) -> list[Chip]:
    numbers = {"open": counts.open, "acknowledged": counts.acknowledged} if counts and not shown.filtered else {}
    chips = [Chip("Now", None, shown.url(state=NOW if default != NOW else None), shown.state == NOW)]
    for key, info in ALERT_STATES.items():
        chips.append(Chip(info.label, info, shown.url(state=key), shown.state == key, numbers.get(key)))
    chips.append(Chip("All", None, shown.url(state="all" if default != "all" else None), shown.state == "all"))
    return chips


def list_context(shown: AlertList, *, part: str) -> dict[str, Any]:
    """What the list's templates need; `part` is the address of the list alone."""
    part_url = f"{part}?{shown.query.urlencode()}" if shown.query else part
    return {"list": shown, "list_part_url": part_url, "severities": SEVERITIES}
