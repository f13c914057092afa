"""The client of Ray's dashboard, against a server on loopback that says what a real one has said."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from qjob.engines.ray.client import RayClient
from qjob.engines.ray.ray_job import RayJob
from qjob.errors import EngineUnavailable, SubmitError

EXISTS = """Traceback (most recent call last):
RuntimeError: Request failed with status code 400: Traceback (most recent call last):
ValueError: Job with submission_id qjob-a already exists. Please use a different submission_id.
.
"""
WRONG = """Traceback (most recent call last):
RuntimeError: Request failed with status code 400: Traceback (most recent call last):
ValueError: Resource quantities >1 must be whole numbers.
.
"""


class Dashboard:
    """Answers requests by a table, and notes what was asked."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], tuple[int, bytes]] = {}
        self.asked: list[tuple[str, str, bytes, str | None]] = []

    def says(self, method: str, path: str, data: Any, status: int = 200) -> None:
        self.answers[method, path] = status, data.encode() if isinstance(data, str) else json.dumps(data).encode()


@pytest.fixture
def dashboard() -> Dashboard:
    return Dashboard()


@pytest.fixture
def client(dashboard: Dashboard) -> Iterator[RayClient]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            dashboard.asked.append((self.command, self.path, body, self.headers.get("Authorization")))
            status, data = dashboard.answers.get((self.command, self.path), (404, b"404: Not Found"))
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            if 300 <= status < 400:
                self.send_header("Location", f"http://{self.headers['Host']}/elsewhere")
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_PUT = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield RayClient(f"http://127.0.0.1:{server.server_port}", "t0ken")
    server.shutdown()
    server.server_close()
    thread.join()


def test_it_asks_with_its_token(client: RayClient, dashboard: Dashboard) -> None:
    dashboard.says("GET", "/api/jobs/", [{"submission_id": "qjob-a", "status": "PENDING", "message": "waits"}])
    assert client.jobs() == [RayJob(submission_id="qjob-a", status="PENDING", message="waits")]
    assert dashboard.asked == [("GET", "/api/jobs/", b"", "Bearer t0ken")]


def test_a_submission_that_is_there_was_taken(client: RayClient, dashboard: Dashboard) -> None:
    dashboard.says("POST", "/api/jobs/", EXISTS, status=500)
    client.submit({"submission_id": "qjob-a"})


def test_what_ray_refuses_is_refused(client: RayClient, dashboard: Dashboard) -> None:
    dashboard.says("POST", "/api/jobs/", WRONG, status=500)
    with pytest.raises(SubmitError, match=r"refuses it: ValueError: Resource quantities >1 must be whole numbers\.$"):
        client.submit({"submission_id": "qjob-a"})


def test_trouble_on_the_other_side_is_for_later(client: RayClient, dashboard: Dashboard) -> None:
    dashboard.says("POST", "/api/jobs/", "No available agent to submit job, please try again later.", status=500)
    with pytest.raises(EngineUnavailable, match="No available agent"):
        client.submit({})
    dashboard.says("GET", "/api/jobs/", "Traceback\nsome error", status=500)
    with pytest.raises(EngineUnavailable, match=r"does not answer \(some error\)"):
        client.jobs()
    dashboard.says("GET", "/api/version", "<html>", status=200)
    with pytest.raises(EngineUnavailable, match="/api/version"):
        client.version()


def test_nobody_there_is_for_later() -> None:
    with pytest.raises(EngineUnavailable, match="Connection refused"):
        RayClient("http://127.0.0.1:9").jobs()


def test_a_wrong_token_has_a_remedy(client: RayClient, dashboard: Dashboard) -> None:
    dashboard.says("GET", "/api/jobs/", "no", status=401)
    with pytest.raises(EngineUnavailable, match=r"refuses the token: set token, or token_file, in \[engines\.ray\]"):
        client.jobs()


def test_stopping_what_is_not_there_is_no_error(client: RayClient, dashboard: Dashboard) -> None:
    client.stop("qjob-a")
    dashboard.says("POST", "/api/jobs/qjob-a/stop", {"stopped": True})
    client.stop("qjob-a")
    dashboard.says("POST", "/api/jobs/qjob-a/stop", "trouble", status=500)
    with pytest.raises(EngineUnavailable):
        client.stop("qjob-a")


def test_packages_are_looked_for_and_sent(client: RayClient, dashboard: Dashboard) -> None:
    assert not client.has_package("_ray_pkg_a.zip")
    dashboard.says("PUT", "/api/packages/gcs/_ray_pkg_a.zip", "")
    dashboard.says("GET", "/api/packages/gcs/_ray_pkg_a.zip", "")
    client.put_package("_ray_pkg_a.zip", b"PK")
    assert client.has_package("_ray_pkg_a.zip")
    assert ("PUT", "/api/packages/gcs/_ray_pkg_a.zip", b"PK", "Bearer t0ken") in dashboard.asked


def test_files_of_a_node_are_read(client: RayClient, dashboard: Dashboard) -> None:
    dashboard.says("GET", "/api/v0/logs/file?node_id=n&filename=qjob%2Fa%2F1&lines=-1&timeout=600", "bytes")
    assert b"".join(client.read("n", "qjob/a/1")) == b"bytes"
    gone = "/api/v0/logs/file?node_id=n&filename=qjob%2Fa%2F3&lines=-1&timeout=600"
    dashboard.says("GET", gone, "A file is not found at: /t/logs/qjob/a/3", status=500)
    with pytest.raises(FileNotFoundError):
        next(client.read("n", "qjob/a/3"))


def test_what_else_is_not_found_does_not_pass_for_a_file(client: RayClient, dashboard: Dashboard) -> None:
    asked = "/api/v0/logs/file?node_id=n8&filename=a&lines=-1&timeout=600"
    dashboard.says("GET", asked, "Node n8 not found.", status=500)
    with pytest.raises(EngineUnavailable, match="Node n8 not found"):
        next(client.read("n8", "a"))


def test_a_node_without_its_agent_is_no_cluster_without_its_head(client: RayClient, dashboard: Dashboard) -> None:
    asked = "/api/v0/logs/file?node_id=n7&filename=a&lines=-1&timeout=600"
    dashboard.says("GET", asked, "Agent for node id: n7 doesn't exist.", status=500)
    with pytest.raises(EngineUnavailable, match=r"cannot read what jobs have written on its node n7: .*agent"):
        next(client.read("n7", "a"))


@pytest.mark.parametrize("status", [301, 302, 307])
def test_an_address_that_leads_elsewhere_is_told_and_not_followed(
    client: RayClient, dashboard: Dashboard, status: int
) -> None:
    """A submission would become a question there, which is answered; and the token would go along."""
    for method in ("GET", "POST"):
        dashboard.says(method, "/api/jobs/", "", status=status)
    for ask in (client.jobs, lambda: client.submit({"submission_id": "qjob-a"})):
        with pytest.raises(EngineUnavailable, match=r"leads to .*elsewhere.* Set address in \[engines\.ray\]"):
            ask()
    assert len(dashboard.asked) == 2
