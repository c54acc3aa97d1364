"""Manifests as kustomize renders them, by the schemas of Kubernetes; Dagster's instance by Dagster's own schema."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import label_assets

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"

Manifest = dict[str, Any]


def loaded(path: Path) -> Manifest:
    content: Manifest = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl, which renders the manifests, is not installed")
    done = subprocess.run(["kubectl", "kustomize", str(FOLDER)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {item["metadata"]["name"]: item for item in manifests if item["kind"] == kind}


def test_kubernetes_would_take_them(manifests: list[Manifest]) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="the schemas of Kubernetes are not installed")
    for manifest in manifests:
        for version in ("1.32", validate.latest_version()):
            validate.validate(manifest, version, strict=True)


def test_deployments_scale_survive_and_hold_no_secret(manifests: list[Manifest]) -> None:
    assert not of_kind(manifests, "Secret")
    deployments = of_kind(manifests, "Deployment")
    assert set(deployments) == {"serve", "live"}
    for name, deployment in deployments.items():
        scaler = of_kind(manifests, "HorizontalPodAutoscaler")[name]["spec"]
        assert scaler["scaleTargetRef"]["name"] == name
        assert "replicas" not in deployment["spec"], "the autoscaler sets them"
        budget = of_kind(manifests, "PodDisruptionBudget")[name]["spec"]
        assert budget["minAvailable"] < scaler["minReplicas"], "else no node can be drained"
        selected = budget["selector"]["matchLabels"].items()
        assert selected <= deployment["spec"]["template"]["metadata"]["labels"].items()
        pod = deployment["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        container = pod["containers"][0]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
        assert {"requests", "limits"} <= set(container["resources"])
        for each in (container, *pod["initContainers"]):
            assert each["securityContext"]["readOnlyRootFilesystem"] is True
            assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert each["image"].endswith(":0.1.0")
    reads = deployments["serve"]["spec"]["template"]["spec"]["containers"][0]["envFrom"]
    assert {"secretRef": {"name": "label-assets-reader"}} in reads


def test_nothing_is_reachable_that_no_policy_names(manifests: list[Manifest]) -> None:
    policies = of_kind(manifests, "NetworkPolicy")
    assert policies["nothing-by-default"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    ports = {
        port["port"]
        for policy in policies.values()
        for rule in policy["spec"].get("ingress", [])
        for port in rule["ports"]
    }
    assert ports == {8000, 9100, 3000, 3030}


def test_the_instance_differs_only_in_where_and_how_many() -> None:
    packaged = loaded(Path(label_assets.__file__).parent / "dagster.yaml")
    here = loaded(FOLDER / "dagster.yaml")
    differing = {key for key in {*packaged, *here} if packaged.get(key) != here.get(key)}
    assert differing == {"concurrency", "run_launcher"}
    runs = here["concurrency"]["runs"]
    assert runs["tag_concurrency_limits"][0]["limit"] < runs["max_concurrent_runs"]


@pytest.mark.slow
def test_dagster_takes_the_instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launcher = pytest.importorskip("dagster_k8s.launcher", reason="dagster-k8s is not installed")
    from dagster._config import process_config
    from dagster._core.instance.ref import InstanceRef

    for name in ("DAGSTER_POSTGRES_URL", "DAGSTER_JOB_NAMESPACE"):
        monkeypatch.setenv(name, "postgresql+psycopg2://u:p@h/d")
    (tmp_path / "dagster.yaml").write_text((FOLDER / "dagster.yaml").read_text())
    reference = InstanceRef.from_dir(str(tmp_path))  # refuses what its schema does not know
    assert reference.run_launcher_data is not None
    assert reference.run_launcher_data.class_name == "K8sRunLauncher"
    given = loaded(FOLDER / "dagster.yaml")["run_launcher"]["config"]
    checked = process_config(launcher.K8sRunLauncher.config_type(), given)
    assert checked.success, checked.errors


def test_values_of_the_chart_name_what_is_there(manifests: list[Manifest]) -> None:
    values = loaded(FOLDER / "dagster-values.yaml")
    instance = loaded(FOLDER / "dagster.yaml")["run_launcher"]["config"]
    maps = of_kind(manifests, "ConfigMap")
    assert instance["instance_config_map"] in maps
    assert instance["service_account_name"] == values["serviceAccount"]["name"]
    code = values["dagster-user-deployments"]["deployments"][0]
    for part in (values["dagsterWebserver"], values["dagsterDaemon"], code):
        home = next(item["value"] for item in part["env"] if item["name"] == "DAGSTER_HOME")
        assert home == instance["dagster_home"]
        assert {"name": "DAGSTER_JOB_NAMESPACE"}.items() <= part["env"][1].items()
        assert all(item["name"] in maps for item in part["envConfigMaps"])
        assert part["volumes"][0]["configMap"]["name"] in maps
        assert part["labels"].items() >= {"label-assets/dagster": "true"}.items()
    claims = of_kind(manifests, "PersistentVolumeClaim")
    assert code["volumes"][1]["persistentVolumeClaim"]["claimName"] in claims
    assert "assword:" not in (FOLDER / "dagster-values.yaml").read_text().replace("postgresql-password", "")
