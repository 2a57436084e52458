"""The log: known events, one JSON object a line from every library, nothing that should stay secret."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.settings import SECRET_KEY_FOR_TESTS
from tests.support.processes import PASSWORD, REPOSITORY, Site

pytestmark = pytest.mark.once

LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
LOGGERS = {"log", "logger", "_log"}
DOCUMENTED = set(re.findall(r"^\| `([a-z_]+)` \|", (REPOSITORY / "docs" / "operations.md").read_text(), re.MULTILINE))


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for app in ("jobs", "health", "vsadmin"):
        for path in sorted((REPOSITORY / app).rglob("*.py")):
            yield path.relative_to(REPOSITORY), ast.parse(path.read_text())


def log_calls() -> Iterator[tuple[str, ast.expr]]:
    """Each call of a log method in production code: where, and its first argument."""
    for path, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS and node.args:
                receiver = ast.unparse(node.func.value).split("(")[0].split(".")[0]
                if receiver in LOGGERS:
                    yield f"{path}:{node.lineno}", node.args[0]


def test_every_event_in_the_code_is_documented() -> None:
    used = {argument.value for _where, argument in log_calls() if isinstance(argument, ast.Constant)}
    assert used - DOCUMENTED == set()


def test_every_documented_event_is_in_the_code() -> None:
    strings = {node.value for _path, tree in sources() for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert DOCUMENTED - strings == set()


def test_no_event_name_is_built_from_data() -> None:
    assert [where for where, argument in log_calls() if not isinstance(argument, ast.Constant | ast.Name)] == []


@pytest.mark.parametrize("asgi", [False, True], ids=["gunicorn", "uvicorn"])
def test_every_line_of_a_web_server_is_json(site: Site, *, asgi: bool) -> None:
    site.start_web(asgi=asgi)
    client = site.http()
    assert client.get("/static/admin/css/base.css").status_code == 200
    assert client.get("/admin/there-is-no-such-page/").status_code == 404
    [server] = site.processes
    site.stop(server)
    lines = [json.loads(line) for line in site.output(server).splitlines()]
    assert all({"event", "level", "timestamp"} <= set(line) for line in lines)
    assert {"gunicorn.error", "uvicorn.error"} & {line.get("logger") for line in lines}


def test_a_request_is_one_line_with_the_id_that_its_answer_carries(site: Site) -> None:
    site.start_web()
    answer = site.http().get("/admin/?from=the-test")
    [server] = site.processes
    [line] = [line for line in site.events(server) if "from=the-test" in str(line)]
    assert line["event"] == "request_finished"
    assert line["code"] == 200
    assert line["request_id"] == answer.headers["X-Request-ID"]
    assert line["ip"] == "127.0.0.1"


def test_an_id_that_a_proxy_gave_is_kept_and_one_that_would_spoil_the_log_is_not(site: Site) -> None:
    site.start_web()
    kept = site.anonymous(**{"X-Request-ID": "proxy-0123456789"}).get("/admin/login/")
    replaced = site.anonymous(**{"X-Request-ID": "{not a plain word}"}).get("/admin/login/")
    assert kept.headers["X-Request-ID"] == "proxy-0123456789"
    assert "plain" not in replaced.headers["X-Request-ID"]
    [server] = site.processes
    logged = [line["request_id"] for line in site.events(server, "request_finished")]
    assert logged == [kept.headers["X-Request-ID"], replaced.headers["X-Request-ID"]]


def test_an_unexpected_error_is_logged_once_with_its_traceback_and_without_local_variables(site: Site) -> None:
    site.start_web(DJANGO_SETTINGS_MODULE="tests.support.broken_settings")
    answer = site.anonymous().get("/broken")
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    [server] = site.processes
    assert len([line for line in site.output(server).splitlines() if "ZeroDivisionError" in line]) == 1
    [line] = site.events(server, "request_failed")
    assert line["request_id"] == answer.headers["X-Request-ID"]
    assert line["exception"][0]["exc_type"] == "ZeroDivisionError"
    assert "hunter2" not in site.output(server)


def test_a_caller_cannot_choose_the_address_in_the_log(site: Site) -> None:
    site.start_web()
    site.anonymous(**{"X-Forwarded-For": "203.0.113.9"}).get("/admin/login/")
    [server] = site.processes
    assert [line["ip"] for line in site.events(server, "request_finished") if "login" in line["request"]] == ["127.0.0.1"]


def test_probes_leave_no_line_when_all_is_well(site: Site) -> None:
    site.start_web()
    probe = site.anonymous()
    assert {probe.get(path).status_code for path in ("/healthz", "/readyz")} == {200}
    [server] = site.processes
    assert "healthz" not in site.output(server)
    assert "readyz" not in site.output(server)


def test_secrets_stay_out_of_the_log(site: Site) -> None:
    site.env["VS_LOG_LEVEL"] = "DEBUG"
    site.env["VS_API_KEY_ADMIN"] = key = "only-for-tests-admin-key-0123456789"
    site.start_web()
    site.http()
    site.anonymous(**{"X-API-Key": key}).get("/api/v1alpha1/jobs")
    site.anonymous(**{"X-API-Key": key + "-wrong"}).get("/api/v1alpha1/jobs")
    [server] = site.processes
    output = site.output(server)
    assert "request_finished" in output
    assert not any(secret in output for secret in (PASSWORD, key, SECRET_KEY_FOR_TESTS))
