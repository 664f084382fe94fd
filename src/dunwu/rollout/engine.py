"""What every rollout engine offers: token ids in; token ids, log-probs and the reason of the end out."""

from collections.abc import Callable, Sequence
from typing import Protocol

from dunwu.models.policy import Policy
from dunwu.records import Completion, GenerationRequest, SamplingParams

OnFinished = Callable[[int, int, Completion], None]
"""Called with (request index, sample index, completion) as soon as a completion ends."""
OnToken = Callable[[int, int, int], None]
"""Called with (request index, sample index, token id) for every token as it is drawn."""


class RolloutEngine(Protocol):
    """Continues prompts. Nothing is tokenised: what goes in and out is token ids."""

    def generate(
        self,
        requests: Sequence[GenerationRequest],
        sampling: SamplingParams,
        on_finished: OnFinished | None = None,
        on_token: OnToken | None = None,
    ) -> list[list[Completion]]:
        """Continue each request's prompt once per seed.

        Returns:
            One list per request, in its order, with one completion per seed, in their order.
        """
        ...

    def sync_weights(self, policy: Policy) -> None:
        """Sample from this policy's present weights from now on."""
        ...

    def close(self) -> None:
        """Give back what the engine holds; it must not be used afterwards."""
        ...
