"""deploy/Dockerfile, compose.yml and kubernetes.yml, checked as far as that goes without an engine."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands, load_command_class
from packaging.specifiers import SpecifierSet

from devtools.environment import REPOSITORY
from health.middleware import PROBES
from tests.support.processes import NO_JOBS
from vsadmin.environment import Environment, read_environment

pytestmark = pytest.mark.once

DEPLOY = REPOSITORY / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text().replace("\\\n", "")
COMPOSE = yaml.safe_load((DEPLOY / "compose.yml").read_text())
KUBERNETES = list(yaml.safe_load_all((DEPLOY / "kubernetes.yml").read_text()))
PODS = {document["metadata"]["name"]: document["spec"]["template"] for document in KUBERNETES if "template" in document.get("spec", {})}
OURS = {name: service for name, service in COMPOSE["services"].items() if service["image"] == "vsadmin"}
CONTAINERS = {name: pod["spec"]["containers"][0] for name, pod in PODS.items()}
SECRET = "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz"
SCHEDULER_PROBES = {"/livez", "/readyz"}
FILLED_IN = {"VS_SECRET_KEY": SECRET, "VS_ALLOWED_HOSTS": "jobs.example.org", "POSTGRES_PASSWORD": "password"}


def check_environment(values: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(values) <= {f"VS_{name.upper()}" for name in Environment.model_fields}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    assert read_environment().environment == "production"


def check_command(command: list[str]) -> None:
    """The command can be started in the image: a program of its packages, or a command of manage.py with options that it knows."""
    if command[:2] == ["python", "manage.py"]:
        parser = load_command_class(get_commands()[command[2]], command[2]).create_parser("manage.py", command[2])
        parser.parse_args(command[3:])
    else:
        assert command[0] == "gunicorn"
        checked = subprocess.run([sys.executable, "-m", *command, "--check-config"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The folder of the image: what .dockerignore lets through."""
    listed = [line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for name in listed:
        source, target = REPOSITORY / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return tmp_path


def test_the_image_has_all_that_runs(image: Path) -> None:
    [step] = re.findall(r"^RUN (VS_.*manage\.py .*)$", DOCKERFILE, re.MULTILINE)
    words = shlex.split(step)
    variables = dict(word.split("=", 1) for word in words if word.startswith("VS_"))
    variables |= NO_JOBS
    variables["VS_DATABASE_URL"] = f"sqlite:///{image}/build.sqlite3"
    arguments = words[words.index("manage.py") + 1 :]
    for command in (arguments, ["check"], ["migrate"], ["runscheduler", "--once"]):
        ran = subprocess.run([sys.executable, "manage.py", *command], cwd=image, env=variables, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
    assert (image / "static-collected" / "staticfiles.json").exists()


def test_the_image_runs_as_nobody_special_on_a_python_that_is_supported() -> None:
    stages = re.findall(r"^FROM python:(\d+\.\d+)-\S+", DOCKERFILE, re.MULTILINE)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert len(stages) == 2
    assert all(f"{version}.0" in SpecifierSet(project["requires-python"]) for version in stages)
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    assert "--require-hashes" in DOCKERFILE
    check_command(json.loads(re.findall(r"^CMD (.+)$", DOCKERFILE, re.MULTILINE)[0]))


@pytest.mark.parametrize("name", OURS)
def test_a_compose_service_starts_what_exists_without_rights(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    service = OURS[name]
    check_command(service["command"])
    values = {key: re.sub(r"\$\{(\w+):\?[^}]*\}", lambda match: FILLED_IN[match[1]], value) for key, value in service["environment"].items()}
    check_environment(values, monkeypatch)
    assert (service["user"], service["read_only"], service["cap_drop"]) == ("10001:10001", True, ["ALL"])
    build = service["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    assert set(service["depends_on"]) <= set(COMPOSE["services"])


def test_compose_has_health_checks_that_ask_what_exists() -> None:
    asked = {name: re.search(r":(\d+)(/\w+)'", str(service["healthcheck"].get("test", ""))) for name, service in OURS.items()}
    assert {name: match and match.groups() for name, match in asked.items()} == {"migrate": None, "web": ("8000", "/healthz"), "scheduler": ("8001", "/livez")}
    assert COMPOSE["services"]["db"]["healthcheck"]["test"][1] == "pg_isready"
    assert COMPOSE["services"]["db"]["read_only"]
    assert COMPOSE["services"]["web"]["ports"] == ["127.0.0.1:8000:8000"]


@pytest.mark.parametrize("name", PODS)
def test_a_pod_starts_what_exists_without_rights(name: str) -> None:
    pod, container = PODS[name]["spec"], CONTAINERS[name]
    check_command(container["command"])
    assert pod["securityContext"]["runAsNonRoot"] is True
    rights: dict[str, Any] = container["securityContext"]
    assert rights == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    known = {(document["kind"], document["metadata"]["name"]) for document in KUBERNETES}
    assert ("ConfigMap", container["envFrom"][0]["configMapRef"]["name"]) in known
    assert ("Secret", container["envFrom"][1]["secretRef"]["name"]) in known


def test_the_environment_of_the_pods_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    [secret] = [document["stringData"] for document in KUBERNETES if document["kind"] == "Secret"]
    [config] = [document["data"] for document in KUBERNETES if document["kind"] == "ConfigMap"]
    check_environment(config | secret | {"VS_SECRET_KEY": SECRET}, monkeypatch)


@pytest.mark.parametrize(("name", "paths", "port"), [("vsadmin-web", set(PROBES), 8000), ("vsadmin-scheduler", SCHEDULER_PROBES, 8001)])
def test_the_probes_of_a_deployment_ask_what_exists(name: str, paths: set[str], port: int) -> None:
    container = CONTAINERS[name]
    probes = {kind: container[kind]["httpGet"] for kind in ("livenessProbe", "readinessProbe", "startupProbe")}
    assert {probe["path"] for probe in probes.values()} == paths
    assert probes["readinessProbe"]["path"] == "/readyz"
    [declared] = container["ports"]
    assert {probe["port"] for probe in probes.values()} == {declared["name"]}
    assert declared["containerPort"] == port
    assert str(port) in " ".join(container["command"])
    [deployment] = [document for document in KUBERNETES if (document["kind"], document["metadata"]["name"]) == ("Deployment", name)]
    assert deployment["spec"]["selector"]["matchLabels"] == PODS[name]["metadata"]["labels"]
