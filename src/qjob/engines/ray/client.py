"""RayClient: the REST API of a Ray cluster's dashboard. The one module that talks to it.

These are the calls that Ray's own `JobSubmissionClient` makes, whose import takes 0.7 s and 90 MB, which every
``qjob ls`` would pay: https://docs.ray.io/en/latest/cluster/running-applications/job-submission/rest.html.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, Protocol
from urllib.parse import quote, urlencode

from qjob.engines.ray.capacity import Node, read_nodes, read_usage
from qjob.engines.ray.ray_job import RayJob, read_jobs
from qjob.errors import EngineUnavailable, SubmitError

_ANSWERS_WITHIN_S = 10.0
_UPLOADS_WITHIN_S = 600.0
_PART = 1 << 20
_MOST_NODES = 10_000  # what the state API gives at most
_MOST_SAID = 2000
_TOO_LARGE = "exceeds the maximum"
_NO_AGENT = "Agent for node id"
_NO_FILE = "file is not found at"  # not what is said of a node, an actor or a worker


class _StayHere(urllib.request.HTTPRedirectHandler):
    """Follows nowhere: a submission would become a question there, and the token go to whom it is not meant for."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_StayHere)
_REDIRECTS = range(300, 400)


class Cluster(Protocol):
    """What the engine needs of a cluster; every call raises EngineUnavailable when it does not answer."""

    def submit(self, request: Mapping[str, Any]) -> None:
        """Hand over a submission; one that the cluster has already is no error. Raises SubmitError when it refuses."""

    def jobs(self) -> Sequence[RayJob]:
        """Return what it says of all our submissions."""

    def stop(self, submission_id: str) -> None:
        """Tell it to end a submission; one that it does not know is no error."""

    def nodes(self) -> Sequence[Node]:
        """Return its live nodes."""

    def usage(self) -> Mapping[str, tuple[float, float]]:
        """Return what is taken and what there is, by resource; what is not known is left out."""

    def version(self) -> str:
        """Return its Ray's version."""

    def has_package(self, name: str) -> bool:
        """Return whether it has a package."""

    def put_package(self, name: str, data: bytes) -> None:
        """Give it a package, a zip file. Raises SubmitError when it refuses that."""

    def read(self, node_id: str, name: str, lines: int = -1) -> Iterator[bytes]:
        """Return the bytes of such a file, or of its last lines, part by part. Raises FileNotFoundError."""


class RayClient:
    """A cluster, by HTTP."""

    def __init__(self, address: str, token: str = "") -> None:
        """Make a client; nothing is asked yet.

        Args:
            address: the URL of the dashboard, without a slash at the end.
            token: what a cluster with token authentication asks for.
        """
        self._address = address
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def submit(self, request: Mapping[str, Any]) -> None:
        """See `Cluster`."""
        try:
            self._json("POST", "/api/jobs/", json.dumps(request).encode())
        except urllib.error.HTTPError as error:
            said = _said(error)
            if "already exists" not in said:
                raise self._submit_error(error.code, said) from error

    def jobs(self) -> list[RayJob]:
        """See `Cluster`."""
        return read_jobs(self._asked("/api/jobs/"))

    def stop(self, submission_id: str) -> None:
        """See `Cluster`."""
        try:
            self._json("POST", f"/api/jobs/{quote(submission_id)}/stop", b"")
        except urllib.error.HTTPError as error:
            if error.code != http.client.NOT_FOUND:
                raise self._away(_said(error)) from error

    def nodes(self) -> list[Node]:
        """See `Cluster`."""
        return read_nodes(self._asked(f"/api/v0/nodes?detail=1&limit={_MOST_NODES}"))

    def usage(self) -> dict[str, tuple[float, float]]:
        """See `Cluster`."""
        return read_usage(self._asked("/api/cluster_status"))

    def version(self) -> str:
        """See `Cluster`."""
        return str(self._asked("/api/version")["ray_version"])

    def has_package(self, name: str) -> bool:
        """See `Cluster`."""
        try:
            with self._open("GET", f"/api/packages/gcs/{quote(name)}"):
                return True
        except urllib.error.HTTPError as error:
            if error.code == http.client.NOT_FOUND:
                return False
            raise self._away(_said(error)) from error

    def put_package(self, name: str, data: bytes) -> None:
        """See `Cluster`."""
        try:
            with self._open("PUT", f"/api/packages/gcs/{quote(name)}", data, timeout_s=_UPLOADS_WITHIN_S):
                return
        except urllib.error.HTTPError as error:
            raise self._submit_error(error.code, _said(error)) from error

    def read(self, node_id: str, name: str, lines: int = -1) -> Iterator[bytes]:
        """See `Cluster`."""
        query = {"node_id": node_id, "filename": name, "lines": lines, "timeout": int(_UPLOADS_WITHIN_S)}
        try:
            with self._open("GET", f"/api/v0/logs/file?{urlencode(query)}", timeout_s=_UPLOADS_WITHIN_S) as answer:
                while part := answer.read(_PART):
                    yield part
        except urllib.error.HTTPError as error:
            said = _said(error)
            if _NO_FILE in said:
                raise FileNotFoundError(said) from error
            raise (self._no_agent(node_id) if _NO_AGENT in said else self._away(said)) from error
        except (OSError, http.client.HTTPException) as error:
            raise self._away(_reason(error)) from error

    def _asked(self, path: str) -> Any:
        try:
            return self._json("GET", path)
        except urllib.error.HTTPError as error:
            raise self._away(_said(error)) from error

    def _json(self, method: str, path: str, data: bytes | None = None) -> Any:
        with self._open(method, path, data) as answer:
            try:
                return json.loads(answer.read())
            except (ValueError, OSError, http.client.HTTPException) as error:
                raise self._away(f"{path}: {_reason(error)}") from error

    def _open(
        self, method: str, path: str, data: bytes | None = None, timeout_s: float = _ANSWERS_WITHIN_S
    ) -> IO[bytes]:
        """Make a request; raises HTTPError when the cluster refuses it, EngineUnavailable when nobody answers."""
        headers = self._headers | ({"Content-Type": "application/json"} if data is not None else {})
        wanted = urllib.request.Request(self._address + path, data=data, method=method, headers=headers)
        try:
            answer: IO[bytes] = _OPENER.open(wanted, timeout=timeout_s)
            return answer
        except urllib.error.HTTPError as error:
            if error.code in _REDIRECTS:
                raise self._leads_elsewhere(error.headers.get("Location", "")) from error
            if error.code in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
                raise self._refused_token() from error
            raise
        except (OSError, http.client.HTTPException) as error:
            raise self._away(_reason(error)) from error

    def _submit_error(self, code: int, said: str) -> SubmitError | EngineUnavailable:
        """Return what a refusal means: Ray answers 500 to what its agent refuses, with the agent's code in the text."""
        if code == http.client.BAD_REQUEST or "status code 400" in said or _TOO_LARGE in said:
            return SubmitError(f"The Ray cluster {self._address} refuses it: {_last_line(said)}.")
        return self._away(said)

    def _refused_token(self) -> EngineUnavailable:
        what = "refuses the token" if self._headers else "asks for a token"
        remedy = "set token, or token_file, in [engines.ray] of the settings to that of the cluster"
        return EngineUnavailable(f"The Ray cluster {self._address} {what}: {remedy}.")

    def _leads_elsewhere(self, location: str) -> EngineUnavailable:
        return EngineUnavailable(
            f"The Ray cluster {self._address} is not there: its address leads to {location or 'another one'}. Set "
            "address in [engines.ray] of the settings to where the dashboard is."
        )

    def _no_agent(self, node_id: str) -> EngineUnavailable:
        """Return the error of a node that Ray runs jobs on, and whose files it cannot read.

        An agent whose port is taken says so in its log, and its node then goes on without it.
        """
        return EngineUnavailable(
            f"The Ray cluster {self._address} cannot read what jobs have written on its node {node_id}: that node's "
            "dashboard agent is starting, or ending, or could not start. Jobs run on all the same. If this lasts, look "
            "into dashboard_agent.log on that node, and start Ray there with a free --dashboard-agent-listen-port once "
            "its jobs have ended; what they wrote is in qjob/ beside that log."
        )

    def _away(self, reason: str) -> EngineUnavailable:
        return EngineUnavailable(
            f"The Ray cluster {self._address} does not answer ({_last_line(reason)}); see whether it runs, and whether "
            "address in [engines.ray] of the settings is its dashboard's."
        )


def _said(error: urllib.error.HTTPError) -> str:
    try:
        return f"{error.code}: {error.read().decode('utf-8', 'replace')}"
    except (OSError, http.client.HTTPException):
        return f"{error.code}"
    finally:
        error.close()


def _reason(error: BaseException) -> str:
    return str(getattr(error, "reason", "")) or str(error) or type(error).__name__


def _last_line(text: str) -> str:
    """Return the last line that says something: Ray answers with tracebacks."""
    lines = [line.strip() for line in text.splitlines() if line.strip(" .")]
    return (lines[-1] if lines else "no reason is given").rstrip(".")[:_MOST_SAID]
