"""QuantumJob: the interface of a hybrid job, as Amazon Braket published it.

The members, their names, parameters and defaults are those of ``braket.jobs.quantum_job.QuantumJob``
(amazon-braket-sdk 1.127.5); a test compares the two wherever that SDK is installed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from qjob.model.config import MetricStatistic, MetricType


class QuantumJob(ABC):
    """A hybrid job, wherever it runs."""

    DEFAULT_RESULTS_POLL_TIMEOUT = 864000
    DEFAULT_RESULTS_POLL_INTERVAL = 5

    @property
    @abstractmethod
    def arn(self) -> str:
        """The ARN (Amazon Resource Name) of the hybrid job."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of the hybrid job."""

    @abstractmethod
    def state(self, use_cached_value: bool = False) -> str:
        """Return QUEUED, RUNNING, COMPLETED, FAILED, CANCELLING or CANCELLED.

        This is ``metadata()["status"]``; with ``use_cached_value`` the one seen last, without a new look.
        """

    @abstractmethod
    def logs(self, wait: bool = False, poll_interval_seconds: int = 5) -> None:
        """Print the job's log; with ``wait``, go on until the job has ended.

        On a terminal and in Jupyter, lines of different instances have different colours.

        Args:
            wait: whether to follow the job to its end.
            poll_interval_seconds: the longest time between two looks, in seconds.

        Raises:
            RuntimeError: if it waited and the job failed.
        """

    @abstractmethod
    def metadata(self, use_cached_value: bool = False) -> dict[str, Any]:
        """Return what is known of the job, in the shape of Braket's ``GetJob`` response.

        With ``use_cached_value``, what was seen last, if anything was.
        """

    @abstractmethod
    def metrics(
        self,
        metric_type: MetricType = MetricType.TIMESTAMP,
        statistic: MetricStatistic = MetricStatistic.MAX,
    ) -> dict[str, list[Any]]:
        """Return the metrics that the job has logged, as columns.

        Args:
            metric_type: what identifies a row, the timestamp or the iteration number.
            statistic: which value is kept where one row has several for the same metric.

        Returns:
            A list of values for each column name, all of one length; None where a row has no value.
        """

    @abstractmethod
    def cancel(self) -> str:
        """Cancel the job and return its status."""

    @abstractmethod
    def result(
        self,
        poll_timeout_seconds: float = DEFAULT_RESULTS_POLL_TIMEOUT,
        poll_interval_seconds: float = DEFAULT_RESULTS_POLL_INTERVAL,
        allow_pickle: bool = False,
    ) -> dict[str, Any]:
        """Wait for the job's end and return what it saved with ``save_job_result``.

        Args:
            poll_timeout_seconds: how long to wait, in seconds; default 10 days.
            poll_interval_seconds: the longest time between two looks, in seconds.
            allow_pickle: whether to open pickled data, which can run any code.

        Raises:
            RuntimeError: if the job FAILED or was CANCELLED, or its data is pickled and that is not allowed.
            TimeoutError: if the job had not ended in time.
        """

    @abstractmethod
    def download_result(
        self,
        extract_to: str | None = None,
        poll_timeout_seconds: float = DEFAULT_RESULTS_POLL_TIMEOUT,
        poll_interval_seconds: float = DEFAULT_RESULTS_POLL_INTERVAL,
    ) -> None:
        """Wait for the job's end and put its results into ``<extract_to>/<job name>/``.

        Args:
            extract_to: a directory; default the current one.
            poll_timeout_seconds: how long to wait, in seconds; default 10 days.
            poll_interval_seconds: the longest time between two looks, in seconds.

        Raises:
            RuntimeError: if the job FAILED or was CANCELLED.
            TimeoutError: if the job had not ended in time.
        """
