"""The code grader as `accuracy` holds it: with a sandbox of its own, opened when the first code problem comes."""

import threading

from dunwu.config.code import CodeConfig
from dunwu.config.sandbox import SandboxConfig
from dunwu.errors import SandboxError
from dunwu.records import Problem, RewardPart
from dunwu.rewards.code import judge_code
from dunwu.rewards.code_fault import code_fault
from dunwu.rewards.code_task import CodeTaskError, read_code_task
from dunwu.sandbox.executor import Executor
from dunwu.sandbox.open import open_executor


class CodeGrader:
    """The code grader with its sandbox, which is opened when the first code problem comes. Closing it closes that."""

    def __init__(self, sandbox: SandboxConfig, config: CodeConfig) -> None:
        self._sandbox = sandbox
        self._config = config
        self._lock = threading.Lock()
        self._executor: Executor | None = None
        self._closed = False

    def judge(self, problem: Problem, answer: str | None) -> RewardPart:
        """As `judge_code`; 0 for a completion without a final answer.

        Raises:
            DependencyError: nothing isolates programs on this machine.
            SandboxError: this grader is closed.
        """
        if answer is not None:
            return judge_code(problem, answer, self._open(), self._config)
        try:
            read_code_task(problem.metadata)
        except CodeTaskError as cause:
            return RewardPart(None, "not_gradable", str(cause))
        return RewardPart(0.0, detail="the completion has no final answer")

    def reference_fault(self, problem: Problem) -> str | None:
        """As `code_fault`; raises as `judge` does."""
        return code_fault(problem, self._open(), self._config)

    def close(self) -> None:
        """End what still runs in the sandbox, if it was ever opened."""
        with self._lock:
            self._closed = True
            if self._executor is not None:
                self._executor.close()

    def _open(self) -> Executor:
        with self._lock:
            if self._closed:
                raise SandboxError("this code grader is closed; make another Grader")
            if self._executor is None:
                self._executor = open_executor(self._sandbox)
            return self._executor
