"""Where runs are started, and how it is found out that the process of one is gone.

Dagster's default launcher starts runs in the code server, which notices within a second that one of its processes died.
Nobody notices when the code server went with it, as in a power cut: the run counts as running for ever and holds its
place in the queue, and after two of them no run starts any more. This one can be asked by `run_monitoring`.

Belongs here: what makes a run lost. Does not belong here: what happens to a lost run (`dagster.yaml`).
"""

import time

import dagster as dg
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import deserialize_value

UNREACHABLE_SILENCE_S = 60.0
"""A run whose code server does not answer is lost when it has said nothing for so long [s]."""

UNKNOWN_SILENCE_S = 900.0
"""The same where the code server answers but does not name the run, or the run has none [s]: its location was
reloaded and an older server watches it, the server started anew at the same address, or `label-assets materialize` runs
it. A step over the whole history of an instrument takes seconds."""


class CheckedRunLauncher(DefaultRunLauncher):
    """The default launcher, with an answer to the question whether a run still has a process."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """It has."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Say whether a run that counts as started is alive; repeating a write of a run that was is harmless."""
        client = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]
        if client is None:
            return self._by_silence(run, UNKNOWN_SILENCE_S, "no code server watches this run")
        try:
            # Not get_current_runs: the server that `dagster dev` puts in front of code servers does not know it.
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id))
        except DagsterUserCodeUnreachableError:
            return self._by_silence(run, UNREACHABLE_SILENCE_S, "its code server does not answer")
        if deserialize_value(answer, CanCancelExecutionResult).can_cancel:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return self._by_silence(run, UNKNOWN_SILENCE_S, "the code server does not know it")

    def _by_silence(self, run: dg.DagsterRun, limit_s: float, why: str) -> CheckRunHealthResult:
        records = self._instance.get_records_for_run(run.run_id, limit=1, ascending=False).records
        silent_s = time.time() - records[0].timestamp if records else limit_s
        if silent_s < limit_s:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(
            WorkerStatus.NOT_FOUND, f"{why}, and its last event is {silent_s:.0f} s old: its process is gone"
        )
