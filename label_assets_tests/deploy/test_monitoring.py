"""Prometheus and Grafana: what rules and dashboard name is shown for real, thresholds are those of the settings."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from label_assets.monitoring.figures import LABELS_PER_ROW, TIMED_OUT, UNWATCHED_ROUTES
from label_assets.monitoring.page import parsed
from label_assets.settings import SlaSettings
from label_assets_tests.monitoring.pages import Server

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yml"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "label_assets.json"
OF_PROMETHEUS = {"up"}


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rules() -> list[dict[str, Any]]:
    return [rule for group in loaded(RULES)["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return found


def expressions() -> Iterator[tuple[str, str]]:
    for rule in rules():
        yield rule.get("record") or rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


@pytest.fixture(scope="module")
def shown() -> dict[str, set[str]]:
    """Labels of every name that real registries show, once everything has happened once."""
    server = Server()
    server.requests(1, 0.01)
    server.reads(hit=1, miss=1, unavailable=1)
    server.serving.rows.labels("labels").inc()
    server.live.rejected.labels("unfinished").inc()
    server.live.dropped.labels("weekend_filler").inc()
    return {name: {label for labels in samples for label, _ in labels} for name, samples in parsed(server.text).items()}


def test_every_metric_that_is_named_exists(shown: dict[str, set[str]]) -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for where, expression in expressions():
        names = set(re.findall(r"[a-z_][a-zA-Z0-9_]*(?::[a-zA-Z0-9_:]+)?(?=[\[{]|\s|\)|$)", _bare(expression)))
        names = {name for name in names if name.startswith(("label_assets", "process_")) or name in OF_PROMETHEUS}
        assert names, where
        assert names <= recorded | OF_PROMETHEUS | set(shown), (where, names - recorded - OF_PROMETHEUS - set(shown))


def test_every_label_that_is_asked_for_exists(shown: dict[str, set[str]]) -> None:
    of_scraping = {"job", "instance"}
    for where, expression in expressions():
        for name, matchers in re.findall(r"([a-z_][a-zA-Z0-9_]*)\{([^}]*)\}", expression):
            asked = set(re.findall(r'([a-z_]+)\s*(?:=~|!~|!=|=)\s*"', matchers))
            assert asked <= shown.get(name, set()) | of_scraping, (where, name)
        for names in re.findall(r"by \(([^)]*)\)", expression):
            known = set.union(*(shown.get(name, set()) for name in re.findall(r"label_assets_[a-z_]+", expression)))
            assert {each.strip() for each in names.split(",")} <= known | of_scraping, where


def _bare(expression: str) -> str:
    return re.sub(r'"[^"]*"', "", expression)


def test_every_metric_of_the_figures_is_in_the_dashboard_or_the_rules(shown: dict[str, set[str]]) -> None:
    """Nothing that `serve` and `live` tell of themselves goes unseen."""
    text = " ".join(expression for _, expression in expressions())
    parts = ("_bucket", "_sum", "_count", "_created")
    unseen = [
        name
        for name in shown
        if name.startswith("label_assets_")
        and not name.endswith("_created")
        and not any(name.removesuffix(part) in text for part in ("", *parts) if name.endswith(part))
    ]
    assert unseen == ["label_assets_cache_connected_clients"]


def test_thresholds_are_those_of_the_settings() -> None:
    sla = SlaSettings()
    expected = {
        "api_latency": f"> {sla.latency_ms / 1000:g}",
        "live_latency": f"> {sla.latency_ms / 1000:g}",
        "labels_per_minute": f"< {sla.labels_per_minute:.0f}",
        "hit_rate": f"< {sla.hit_rate:g}",
        "error_rate": f"> {sla.error_rate:g}",
        "memory": "> 2e9",
        "redis_memory": "> 2e9",
        "answers": "== 0",
    }
    assert sla.memory_bytes == 2e9
    missed = {rule["labels"]["level"]: rule["expr"] for rule in rules() if rule.get("record") == "label_assets:missed"}
    assert set(missed) == set(expected)
    for level, bound in expected.items():
        assert f"{bound} " in f"{missed[level]} ", level
        if level not in {"memory", "redis_memory", "answers"}:
            assert f">= {sla.least_events}" in missed[level], level
    text = RULES.read_text(encoding="utf-8")
    assert f"60 * {LABELS_PER_ROW} *" in text
    assert f"|{TIMED_OUT}" in text
    assert f'route!~"{"|".join(sorted(UNWATCHED_ROUTES, reverse=True))}"' in text.replace("/metrics|/v1", "/v1")
    severities = {rule["alert"]: rule.get("for", "0m") for rule in rules() if rule.get("expr") == "label_assets:missed"}
    assert severities == {"ServiceLevelMissed": "0m", "ServiceLevelMissedForLong": f"{sla.critical_after_s / 60:g}m"}


def test_the_dashboard_is_whole_and_finds_its_source() -> None:
    (source,) = loaded(DEPLOY / "grafana" / "datasources" / "prometheus.yaml")["datasources"]
    (provider,) = loaded(DEPLOY / "grafana" / "dashboards" / "label_assets.yaml")["providers"]
    assert provider["options"]["path"] == "/etc/grafana/provisioning/dashboards"
    ids = [panel["id"] for panel in panels()]
    assert len(set(ids)) == len(ids)
    cells = set()
    for panel in panels():
        assert panel["datasource"]["uid"] == source["uid"], panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        box = panel["gridPos"]
        covered = {(x, y) for x in range(box["x"], box["x"] + box["w"]) for y in range(box["y"], box["y"] + box["h"])}
        assert not covered & cells, panel["title"]
        assert box["x"] + box["w"] <= 24, panel["title"]
        cells |= covered


def test_prometheus_scrapes_what_compose_runs() -> None:
    services = loaded(DEPLOY / "compose.yaml")["services"]
    scraped = {
        job["job_name"]: job["dns_sd_configs"][0]
        for job in loaded(DEPLOY / "prometheus" / "prometheus.yml")["scrape_configs"]
    }
    assert source_port(services["serve"], "LABEL_ASSETS_SERVE__PORT") == scraped["serve"]["port"]
    assert source_port(services["live"], "LABEL_ASSETS_LIVE__METRICS_PORT") == scraped["live"]["port"]
    assert services["live"]["environment"]["LABEL_ASSETS_LIVE__METRICS_HOST"] == "0.0.0.0"
    assert all(name in services for job in scraped.values() for name in job["names"])


def source_port(service: dict[str, Any], name: str) -> int:
    return int(service["environment"][name])


def promtool(*arguments: str) -> str:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed: it comes with Debian's package prometheus")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_promtool_takes_them() -> None:
    promtool("check", "config", str(DEPLOY / "prometheus" / "prometheus.yml"))
    assert "rules found" in promtool("check", "rules", str(RULES))


def test_promtool_sees_a_level_missed_and_met_again(tmp_path: Path) -> None:
    """The real rules on made series: 10 % misses for three minutes, then none."""
    misses = "0+10x12 120x12"
    series = [
        {"series": 'label_assets_cache_reads_total{outcome="hit",job="serve",instance="a"}', "values": "0+90x24"},
        {"series": 'label_assets_cache_reads_total{outcome="miss",job="serve",instance="a"}', "values": misses},
        {"series": 'up{job="serve",instance="a"}', "values": "1x24"},
    ]
    labels = {"level": "hit_rate"}
    summary = {"summary": "hit_rate is 0.9"}

    def seen(at: str, name: str, severity: str, is_on: bool) -> dict[str, Any]:
        alert = {"exp_labels": labels | {"severity": severity}, "exp_annotations": summary}
        return {"eval_time": at, "alertname": name, "exp_alerts": [alert] if is_on else []}

    file = tmp_path / "test.yml"
    tests = {
        "interval": "15s",
        "input_series": series,
        "alert_rule_test": [
            seen("1m15s", "ServiceLevelMissed", "warning", True),
            seen("45s", "ServiceLevelMissedForLong", "critical", False),
            seen("3m", "ServiceLevelMissedForLong", "critical", True),
            seen("5m", "ServiceLevelMissed", "warning", False),
        ],
    }
    file.write_text(
        yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "15s", "tests": [tests]}), encoding="utf-8"
    )
    promtool("test", "rules", str(file))
