"""Every alert and every check has its entry in the runbook, and the runbook has no other."""

import re
from pathlib import Path
from typing import Any

import yaml

import label_assets
from label_assets.definitions import build_defs
from label_assets.monitoring.evaluation import LEVELS
from label_assets.settings import load_settings

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]


def section(title: str) -> str:
    return RUNBOOK.partition(f"## {title}\n")[2].partition("\n## ")[0]


def headings(title: str) -> list[str]:
    return re.findall(r"^### `(\w+)`$", section(title), re.MULTILINE)


def test_alerts_of_prometheus() -> None:
    assert sorted(headings("Prometheus")) == sorted(rule["alert"] for rule in RULES if "alert" in rule)


def test_alerts_in_the_code() -> None:
    """Alerts are made as `Alert("kind", …)`, or from a table of (kind, title, …)."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in Path(label_assets.__file__).parent.rglob("*.py"))
    kinds = set(re.findall(r"\bAlert\(\s*\"(\w+)\"", code)) | set(re.findall(r"\(\"(sla_\w+)\", \"", code))
    assert len(kinds) == 6
    assert sorted(headings("From Dagster and the monitor, to log and webhook")) == sorted(kinds)


def test_checks_of_dagster() -> None:
    specs = [spec for checks in build_defs(load_settings()).asset_checks or () for spec in checks.check_specs]
    assert sorted(headings("Checks")) == sorted(spec.name for spec in specs)
    blocking = {spec.name for spec in specs if spec.blocking}
    said = set(re.findall(r"^### `(\w+)`\n\nBlocks\.", section("Checks"), re.MULTILINE))
    assert said == blocking


def test_service_levels() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", section("Prometheus"), re.MULTILINE)
    recorded = {rule["labels"]["level"] for rule in RULES if rule.get("record") == "label_assets:missed"}
    assert {level for level, _ in rows} == recorded
    assert {name for _, name in rows} == set(LEVELS)
