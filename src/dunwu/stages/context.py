"""What the pipeline hands to every stage."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dunwu.config.training import ModelConfig
from dunwu.data.conversations import ConversationSet
from dunwu.records import Problem
from dunwu.runs.progress import Progress
from dunwu.runs.stage_folder import StageFolder
from dunwu.stages.decontamination import CleanConversations, Decontamination, Sample


@dataclass(frozen=True)
class StageContext:
    """Where a stage starts, the run's seed, the stage's folder, and someone to tell.

    Args:
        model: what the stage's `start` means: the recipe's base model, another one of it, or the finished model of an earlier
            stage; the base model for a stage without `start`.
        models: every model that the stage's configuration names, by that name, each as a folder or hub name to load.
        profile: whether a few steps are to be profiled (`stages.profiling`).
    """

    model: ModelConfig
    models: Mapping[str, ModelConfig]
    seed: int
    folder: StageFolder
    progress: Progress
    decontamination: Decontamination
    profile: bool = False

    def clean_problems(self, key: str, problems: Sequence[Problem]) -> tuple[Problem, ...]:
        """Return training problems without those that an evaluation set of the recipe holds.

        Every stage that trains on problems, or asks them to make training data, passes them through here first.

        Args:
            key: of the stage's configuration that they come from, for example "task".
        Raises:
            DataError: none would be left.
        """
        return self.decontamination.clean_problems(key, problems, self.folder, self.progress)

    def clean_conversations(self, key: str, conversations: ConversationSet) -> CleanConversations:
        """Return training conversations without those that give away an item of an evaluation set; see `clean_problems`."""
        return self.decontamination.clean_conversations(key, conversations, self.folder, self.progress)

    def clean_samples(self, key: str, samples: Iterable[Sample]) -> frozenset[int]:
        """Return the positions of training samples of any other kind (pairs, prompts) that are to be left out."""
        return self.decontamination.clean_samples(key, samples, self.folder, self.progress)
