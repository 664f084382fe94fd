"""A run folder of any size that looks like R1-Zero's and was never trained, to measure how the dashboard opens and searches it.

    python -m benchmarks.synthetic_run PATH --steps 10000 --rollouts-per-step 500

Its files have the columns, types and encodings of real ones, token ids and log-probs included. What a policy would learn, the
figures pretend: answers get right more often, completions longer, and from three quarters of the steps on "wait" spreads.
"""

import argparse
import json
import time
import tomllib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dunwu.config.recipe import Recipe
from dunwu.config.shipped import find_recipe
from dunwu.runs.folder import RunFolder
from dunwu.runs.rollout_table import rollout_schema

GROUP_SIZE = 10
NUM_PROBLEMS = 100_000
POOL = 4_000
HEADER = (
    "A conversation between User and Assistant. The user asks a question, and the Assistant solves it. The assistant first "
    "thinks about the reasoning process in the mind and then provides the user with the answer. User: "
)
KINDS, LANGUAGES = ["sum", "remainder", "operators"], ["en", "zh"]


def texts(rng: np.random.Generator) -> dict[str, pa.Array]:
    """Make pools of beginnings, reflections and endings of a thought; what is drawn from them is rarely the same twice."""

    def chain(length: int) -> str:
        value, steps = int(rng.integers(2, 60)), []
        for other in rng.integers(2, 40, length).tolist():
            steps.append(f"{value}+{other}={value + other}")
            value += other
        return ", ".join(steps)

    heads = [
        f"We are asked for a sum. Let us go step by step: {chain(int(rng.integers(2, 9)))}. "
        for _ in range(POOL)
    ]
    chinese = [f"一步一步算：{chain(int(rng.integers(2, 9)))}。" for _ in range(POOL)]
    turns = [f"Wait, let me check that again: {chain(int(rng.integers(1, 6)))}. " for _ in range(POOL // 2)]
    for a, b in rng.integers(11, 60, (POOL // 2, 2)).tolist():
        turns.append(f"{a}+{b}={a + b + 2}. Wait, that is wrong. {a}+{b}={a + b}. ")
    extra = [f"So we have {chain(int(rng.integers(3, 12)))}. However, {chain(3)}. " for _ in range(POOL)]
    return {
        name: pa.array(pool)
        for name, pool in (("head", heads), ("zh", chinese), ("turn", turns), ("extra", extra))
    }


def rollout_file(
    step: int, progress: float, count: int, pools: dict[str, pa.Array], rng: np.random.Generator
) -> pa.Table:
    """Make the rollouts of one step."""
    groups = count // GROUP_SIZE
    problems = rng.integers(0, NUM_PROBLEMS, groups)
    problem = np.repeat(problems, GROUP_SIZE)
    zh = problem % 5 == 0
    right = rng.random(count) < 0.1 + 0.8 * progress * (0.6 + 0.4 * (problem % 7) / 6)
    waits = rng.random(count) < 0.01 + 0.5 * max(0.0, progress - 0.75) * 4
    long = rng.random(count) < progress
    mixes = rng.random(count) < 0.06 * (1 - progress)
    truncated = rng.random(count) < 0.02
    answers = pa.array((problem * 7 % 1000 + np.where(right, 0, rng.integers(1, 9, count))).astype(str))

    def draw(pool: str, where: np.ndarray) -> pa.Array:
        picked = pools[pool].take(pa.array(rng.integers(0, POOL, count)))
        return pa.compute.if_else(pa.array(where), picked, "")

    close = pa.compute.if_else(pa.array(truncated), "", " </think> <answer> ")
    end = pa.compute.if_else(
        pa.array(truncated), "", pa.compute.binary_join_element_wise(answers, "</answer>", " ")
    )
    mixed = pa.compute.if_else(pa.array(mixes), "所以 答案 就是 这个 ", "")
    completion = pa.compute.binary_join_element_wise(
        " <think> ",
        draw("head", ~zh),
        draw("zh", zh),
        draw("turn", waits),
        draw("extra", long),
        mixed,
        close,
        end,
        "",
    )
    tokens = np.clip(pa.compute.utf8_length(completion).to_numpy() // 4, 4, 512).astype(np.int32)
    offsets = pa.array(np.concatenate([[0], np.cumsum(tokens)]).astype(np.int32))
    token_ids = pa.ListArray.from_arrays(
        offsets, pa.array(rng.integers(0, 600, offsets[-1].as_py()).astype(np.int32))
    )
    logs = -rng.exponential(0.3, offsets[-1].as_py()).astype(np.float32).astype(np.float64)
    formed = rng.random(count) < 0.5 + 0.5 * progress
    reward = right.astype(float) + formed
    mean = reward.reshape(groups, GROUP_SIZE).mean(axis=1).repeat(GROUP_SIZE)
    spread = reward.reshape(groups, GROUP_SIZE).std(axis=1).repeat(GROUP_SIZE)
    question = pa.array(
        [
            f"What is item {p} of the list, modulo {p % 7 + 2}?" if p % 5 else f"第{p}项是多少？"
            for p in problems
        ]
    )
    question = question.take(pa.array(np.arange(count) // GROUP_SIZE))
    plain = {
        "rollout": step, "first_step": step, "last_step": step, "dropped": False, "grader": "numeric",
        "part.accuracy.status": "ok", "part.format.status": "ok", "part.accuracy.detail": "",
    }  # fmt: skip
    columns = {
        **{name: pa.array([value] * count) for name, value in plain.items()},
        "group": np.arange(count) // GROUP_SIZE,
        "prompt_id": pa.compute.binary_join_element_wise("item:", pa.array(problem.astype(str)), ""),
        "kind": pa.array(KINDS).take(pa.array(problem % 3)),
        "language": pa.array(LANGUAGES).take(pa.array(zh.astype(np.int64))),
        "question": question,
        "prompt": pa.compute.binary_join_element_wise(HEADER, question, " Assistant:", ""),
        "prompt_token_ids": pa.array([list(range(60))] * count),
        "reference": (problem * 7 % 1000).astype(str),
        "sample_index": np.tile(np.arange(GROUP_SIZE), groups),
        "completion": completion,
        "token_ids": token_ids,
        "logprobs": pa.ListArray.from_arrays(offsets, pa.array(logs)),
        "finish_reason": np.where(truncated, "length", "stop"),
        "num_tokens": tokens,
        "sum_logprob": np.add.reduceat(logs, offsets[:-1].to_numpy()),
        "reward": reward,
        "answer": answers,
        "correct": right,
        "advantage": (reward - mean) / (spread + 1e-6),
        "part.accuracy.value": right.astype(float),
        "part.format.value": formed.astype(float),
        "part.format.detail": np.where(formed, "", "</think> is missing"),
    }
    schema = rollout_schema(["accuracy", "format"])
    facts = json.dumps({"index": step, "first_step": step, "last_step": step}).encode()
    arrays = [_array(columns[field.name]).cast(field.type) for field in schema]
    return pa.table(arrays, schema=schema.with_metadata({b"dunwu": facts}))


def _array(values: pa.Array | np.ndarray) -> pa.Array:
    return values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)


def metrics_of(table: pa.Table, step: int, progress: float) -> dict[str, float]:
    """Return figures of a step under the names that training gives them."""
    tokens, right = table["num_tokens"].to_numpy(), table["correct"].to_numpy(zero_copy_only=False)
    return {
        "step": step, "rollout": step, "reward": float(table["reward"].to_numpy().mean()), "accuracy": float(right.mean()),
        "format": 0.5 + 0.5 * progress, "length_mean": float(tokens.mean()), "length_max": int(tokens.max()),
        "length_mean_right": float(tokens[right].mean()) if right.any() else None,
        "length_mean_wrong": float(tokens[~right].mean()) if (~right).any() else None,
        "entropy": 0.6 - 0.4 * progress, "kl": 0.05 * progress, "truncated_frac": 0.02, "zero_spread_frac": 0.1 + 0.3 * progress,
        "self_check_frac": 0.01 + 0.5 * max(0.0, progress - 0.75) * 4, "grad_norm": 0.3, "learning_rate": 3e-4, "loss": 0.0,
        "clip_high_frac": 0.01, "clip_low_frac": 0.01, "logprob_difference_mean": 1e-6, "logprob_difference_max": 1e-4,
    }  # fmt: skip


def make(path: Path, steps: int, per_step: int, seed: int = 1) -> None:
    """Write the run."""
    data = tomllib.loads(find_recipe("zero-micro").read_text(encoding="utf-8"))
    data["name"] = "synthetic"
    data["stages"][0] |= {
        "num_steps": steps,
        "prompts_per_step": per_step // GROUP_SIZE,
        "group_size": GROUP_SIZE,
    }
    rng = np.random.default_rng(seed)
    pools = texts(rng)
    with RunFolder.open(path, Recipe.model_validate(data)) as run:
        stage = run.stages()[0]
        stage.begin({})
        run.log("stage started", stage=stage.name, num_steps=steps, done_steps=0)
        folder = stage.path / "rollouts"
        folder.mkdir(exist_ok=True)
        floats = {"logprobs.list.element": "BYTE_STREAM_SPLIT"}
        with (
            (stage.path / "metrics.jsonl").open("w") as metrics,
            (stage.path / "timings.jsonl").open("w") as timings,
        ):
            for step in range(1, steps + 1):
                progress = (step - 1) / max(1, steps - 1)
                table = rollout_file(step, progress, per_step, pools, rng)
                pq.write_table(
                    table, folder / f"rollout-{step:06d}.parquet", compression="zstd", write_page_checksum=True,
                    use_dictionary=[name for name in table.column_names if name != "logprobs"], column_encoding=floats,
                )  # fmt: skip
                metrics.write(json.dumps(metrics_of(table, step, progress)) + "\n")
                timings.write(
                    json.dumps({"step": step, "wall_seconds": 2.5, "peak_memory_bytes": 10**9}) + "\n"
                )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--rollouts-per-step", type=int, default=500)
    arguments = parser.parse_args()
    start = time.perf_counter()
    make(arguments.path, arguments.steps, arguments.rollouts_per_step)
    print(
        f"{arguments.steps * arguments.rollouts_per_step:,} rollouts in {time.perf_counter() - start:.0f} s"
    )


if __name__ == "__main__":
    main()
