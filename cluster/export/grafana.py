"""What `rayrealm export grafana` prints: a dashboard for each subject (grafana.com/docs/grafana/latest/dashboards, JSON model)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from cluster.export.dashboards import Dashboard, Panel
from cluster.export.dashboards_outside import DASHBOARDS

SCHEMA = 39  # Grafana 11; later ones migrate it as they load it
COLUMNS = 24
HEIGHT = 8
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
TAG = "rayrealm"


def files() -> dict[str, str]:
    """JSON by file name."""
    return {f"{one.uid}.json": json.dumps(dashboard(one), indent=2) + "\n" for one in DASHBOARDS}


def together(made: dict[str, str]) -> str:
    """All of them as one JSON object by file name."""
    return json.dumps({name: json.loads(text) for name, text in made.items()}, indent=2)


def dashboard(of: Dashboard) -> dict[str, Any]:
    """For Grafana's import and for provisioning. `datasource` is chosen by whoever looks at it."""
    variables: list[dict[str, Any]] = [
        {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source", "refresh": 1}
    ]
    if of.variable:
        variables.append(_choice(of.variable, of.values))
    return {
        "uid": of.uid,
        "title": of.title,
        "description": of.text,
        "tags": [TAG],
        "timezone": "browser",
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "15s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": variables},
        "links": [{"type": "dashboards", "title": "Rayrealm", "tags": [TAG], "asDropdown": True, "keepTime": True}],
        "annotations": {"list": []},
        "panels": _placed(of.panels),
    }


def _choice(name: str, values: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": values, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _placed(panels: Sequence[Panel]) -> list[dict[str, Any]]:
    """From left to right in rows of HEIGHT."""
    made, x, y = [], 0, 0
    for number, panel in enumerate(panels, 1):
        if x + panel.width > COLUMNS:
            x, y = 0, y + HEIGHT
        made.append(_panel(panel, number, {"x": x, "y": y, "w": panel.width, "h": HEIGHT}))
        x += panel.width
    return made


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    custom = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": False}
    if panel.stacked:
        custom["stacking"] = {"mode": "normal", "group": "A"}
    defaults: dict[str, Any] = {"unit": panel.unit, "custom": custom if panel.kind == "timeseries" else {}}
    if panel.unit in ("percentunit", "short", "bytes", "s", "ops"):
        defaults["min"] = 0
    if panel.warn is not None:
        steps = [{"color": "green", "value": None}, {"color": "red", "value": panel.warn}]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
        if panel.kind == "timeseries":
            custom["thresholdsStyle"] = {"mode": "line"}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(panel),
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": SOURCE,
                "expr": query.expr,
                "legendFormat": query.legend,
                "instant": panel.kind != "timeseries",
                "range": panel.kind == "timeseries",
                "format": "table" if panel.kind == "table" else "time_series",
            }
            for index, query in enumerate(panel.queries)
        ],
    }


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "stat":
        reduce = {"calcs": ["lastNotNull"], "fields": "", "values": False}
        return {"reduceOptions": reduce, "colorMode": "value", "graphMode": "none", "textMode": "auto"}
    if panel.kind == "table":
        return {"showHeader": True, "cellHeight": "sm"}
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
