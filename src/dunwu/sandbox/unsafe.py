"""No sandbox at all: programs run as the user, with a time limit and rlimits. Every run says so in the log."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping

from dunwu.sandbox.inside.request import Request
from dunwu.sandbox.keeper_executor import KeeperExecutor
from dunwu.sandbox.memory import judge_memory
from dunwu.sandbox.one_shot import keeper_command, run_once
from dunwu.sandbox.records import Execution, Limits
from dunwu.sandbox.requests import base_environment, read_answer

_LOG = logging.getLogger(__name__)


class UnsafeExecutor(KeeperExecutor):
    """Runs programs without isolation (see Executor). They can read, change and send whatever the user can."""

    def __init__(self, max_parallel: int) -> None:
        env = base_environment(os.environ.get("PATH", os.defpath))
        super().__init__(max_parallel, sys.executable, env, memory_is_bound=False)
        _LOG.warning(
            "UNSAFE: programs written by the policy will run as you on this machine, without any isolation"
        )

    def _run_request(
        self, request: Request, limits: Limits, label: str
    ) -> tuple[Execution, Mapping[str, bytes]]:
        _LOG.warning("UNSAFE: running %s without isolation", label)
        execution, left = read_answer(*run_once(keeper_command(sys.executable), request, work=""))
        return judge_memory(execution, None), left

    def describe(self) -> Mapping[str, str]:
        """See Executor."""
        return {"sandbox": "UNSAFE: none; programs run as you on this machine"}
