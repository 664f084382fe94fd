"""Preference data: responses to general prompts, and a judge who says which are better or safe (facts.md section 5)."""

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field, NonNegativeFloat, PositiveInt, model_validator

from dunwu.config.asking import AskedEndpoint, AskedModel
from dunwu.config.base import ConfigModel, StageName
from dunwu.config.output_form import OutputForm, ThinkForm
from dunwu.config.references import ModelName, Product
from dunwu.config.task import ChatTemplate, GeneralWorldKind, Task, Template, WorldTask
from dunwu.config.training import EmbeddedEngine, EngineConfig, SamplingConfig

Share = Annotated[float, Field(ge=0, le=1)]


class WorldJudge(ConfigModel):
    """The embedded world's own rules, which know what a good answer to its prompts is."""

    kind: Literal["world"] = "world"
    noise: Share = 0.1
    """Share of its verdicts that are drawn at random, as those of a judge who is not always right."""


class JudgingConfig(ConfigModel):
    """Who compares two responses, how often, and when the answer counts."""

    by: Annotated[WorldJudge | AskedModel | AskedEndpoint, Field(discriminator="kind")]
    """A model or an endpoint gets the paper's prompt for pairs (B.2), and one of ours for safety."""
    num_queries: PositiveInt = 4
    """Verdicts of one pair, each with the order of the two drawn at random (facts.md section 5: 4)."""
    min_margin: NonNegativeFloat = 1.0
    """The mean of a pair's verdicts, from -2 to 2, must be further than this from 0 (facts.md section 5: 1)."""
    max_length_gap: Share | None = 0.1
    """Most by which the mean lengths of chosen and rejected may differ over the whole set, in units of the longer one; pairs
    that unbalance it most are left out. "none": lengths are left as they are."""


class PreferenceDataStage(ConfigModel):
    """Rows for reward models: pairs of responses to prompts of the set "helpful", and responses to prompts of the set "safety"
    labelled as safe or unsafe (facts.md section 5)."""

    kind: Literal["preference_data"] = "preference_data"
    makes: ClassVar[frozenset[Product]] = frozenset({"data"})
    data_files: ClassVar[tuple[str, ...]] = ("pairs.jsonl", "safety.jsonl")
    name: StageName = "preference_data"
    start: ModelName = "base"
    """The model to sample: "base", one of the recipe's models, or an earlier stage, whose finished model is taken."""
    models: tuple[ModelName, ...] = ()
    """Further models to sample, in the same template, so that responses of different quality meet."""
    task: Task
    """Its training problems are asked; all of them are general prompts."""
    template: Template = ChatTemplate()
    output_form: OutputForm = ThinkForm(opened_by_prompt=False)
    """How the sampled models mark thinking and summary."""
    num_prompts: PositiveInt | None = None
    """Ask only the first so many training problems; left out: all."""
    samples_per_prompt: PositiveInt = 4
    """Of each model."""
    pairs_per_prompt: PositiveInt = 4
    """Most pairs of one prompt that are judged, drawn at random from all pairs of its responses."""
    prompts_per_chunk: PositiveInt = 64
    """Prompts that are sampled, or judged, at once; a run that is killed loses at most one chunk's work."""
    sampling: SamplingConfig = SamplingConfig()
    engine: EngineConfig = EmbeddedEngine()
    judge: JudgingConfig

    @model_validator(mode="after")
    def _possible(self) -> "PreferenceDataStage":
        if self.sampling.temperature == 0 and self.samples_per_prompt > 1:
            raise ValueError(
                f"samples_per_prompt is {self.samples_per_prompt}, and at sampling.temperature 0 all samples are the same; "
                "use 1, or a temperature above 0"
            )
        names = (self.start, *self.models)
        if len(set(names)) < len(names):
            raise ValueError(
                f"start and models name a model twice: {list(names)}; raise samples_per_prompt instead"
            )
        if isinstance(self.judge.by, WorldJudge) and not isinstance(self.task, WorldTask):
            raise ValueError(
                'judge.by is {kind = "world"}, which knows the embedded world alone, and task.kind is '
                f'"{self.task.kind}"; let a model or an endpoint judge'
            )
        if isinstance(self.task, WorldTask):
            graded = sorted(set(self.task.kinds) - set(get_args(GeneralWorldKind)))
            if graded:
                raise ValueError(
                    f"task.kinds has {', '.join(graded)}, which rules grade; preferences are about "
                    f"{', '.join(get_args(GeneralWorldKind))}"
                )
        return self
