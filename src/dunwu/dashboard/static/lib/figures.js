// Which figures belong into one chart, how it is called, and what it tells. Keys are those of metrics.jsonl and timings.jsonl.
//
// A chart: {id, title, unit, tells, lines: [{key, label}], held: [{key, label}], log, floor, ceiling}
//   unit      "share" | "tokens" | "seconds" | "bytes" | "rate" | "number"
//   held      figures of the held-out evaluations, drawn as points with their intervals

const line = (key, label, color) => ({ key, label, color });
const COUNTS = /_(ok|error|not_applicable|not_gradable)$/;

/** The charts for a stage, in sections: [{title, tells, charts}]. `names`: the figures that it has; `held`: those of its evaluations. */
export function sectionsFor(names, held) {
  const left = new Set(names);
  const sections = [];
  for (const section of catalogue(names, held)) {
    const charts = [];
    for (const chart of section.charts) {
      const lines = chart.lines.filter((l) => names.has(l.key));
      const points = (chart.held ?? []).filter((l) => held.has(l.key));
      if (!lines.length && !points.length) continue;
      lines.forEach((l) => left.delete(l.key));
      charts.push({ ...chart, lines, held: points });
    }
    if (charts.length) sections.push({ ...section, charts });
  }
  for (const name of IN_OTHER_CHARTS) left.delete(name);
  const rest = [...left].filter((name) => !COUNTS.test(name)).sort();
  if (rest.length) {
    sections.push({
      title: "Everything else", tells: "Figures of the stage that have no place above.", folded: true,
      charts: rest.map((key) => ({ id: key, title: key, unit: key.endsWith("_frac") ? "share" : key.endsWith("_bytes") ? "bytes" : "number", lines: [line(key, key)] })),
    });
  }
  return sections;
}

const IN_OTHER_CHARTS = ["rollout", "epoch"];

function catalogue(names, held) {
  const parts = [...names].filter((name) => name.startsWith("reward_") && !COUNTS.test(name)).sort();
  const many = [...held].find((key) => /^cons_at_\d+$/.test(key));
  const sft = names.has("nll"), pairs = names.has("margin") || names.has("safe_accuracy");
  return [
    {
      title: "Is it learning?", tells: "What it is rewarded for, and how many problems it solves.",
      charts: [
        { id: "reward", title: "Reward", unit: "number", tells: "Mean over the completions of a step, and the parts that it is the weighted sum of.",
          lines: [line("reward", "reward"), ...parts.map((key) => line(key, key.slice(7).replaceAll("_", " ")))] },
        sft ? null : { id: "accuracy", title: pairs ? "Pairs ranked rightly" : "Right answers", unit: "share", floor: 0, ceiling: 1,
          tells: pairs ? "Share of training pairs and of held-out ones whose better answer scores higher."
            : `Share of right answers while training; on held-out problems one answer alone (pass@1)${many ? ` and the majority of ${many.slice(8)} (cons@${many.slice(8)})` : ""}, with 95% intervals.`,
          lines: [line("accuracy", "training"), line("safe_accuracy", "safe, training"), line("unsafe_accuracy", "unsafe, training")],
          held: pairs ? [line("accuracy", "held out")] : [line("pass_at_1", "held out, pass@1", "--c2"), ...(many ? [line(many, `held out, majority of ${many.slice(8)}`, "--c4")] : [])] },
        { id: "format", title: "Answers in the asked form", unit: "share", floor: 0, ceiling: 1, tells: "Thinking and answer where the template wants them.",
          lines: [line("format", "training")], held: sft ? [] : [line("format", "held out")] },
        { id: "nll", title: "Loss", unit: "number", tells: "Negative log-likelihood in nats for each trained token.", lines: [line("nll", "training")], held: [line("nll", "held out")] },
        { id: "token_accuracy", title: "Right tokens", unit: "share", tells: "Held-out tokens that the model would have written, too.", lines: [], held: sft ? [line("token_accuracy", "held out")] : [] },
        { id: "margin", title: "Margin", unit: "number", tells: "How much higher the better answer scores.", lines: [line("margin", "training")], held: pairs ? [line("margin", "held out")] : [] },
        { id: "kept", title: "Kept", unit: "share", floor: 0, ceiling: 1, tells: "Share of the sampled candidates that became rows.", lines: [line("kept_frac", "kept")] },
        { id: "candidates", title: "Candidates", unit: "number", tells: "Sampled, and kept, for each chunk.", lines: [line("candidates", "sampled"), line("kept", "kept")] },
      ].filter(Boolean),
    },
    {
      title: "How does it think?", tells: "The length of its answers, and whether it goes back over them.",
      charts: [
        { id: "length", title: "Length", unit: "tokens", floor: 0, tells: "Tokens of a completion: of all, of right and of wrong ones.",
          lines: [line("length_mean", "all"), line("length_mean_right", "right", "--c3"), line("length_mean_wrong", "wrong", "--c2")] },
        { id: "self_check", title: "Checks itself", unit: "share", floor: 0, tells: "Share of completions with words such as “wait” or “check”.",
          lines: [line("self_check_frac", "training")], held: [line("self_check_frac", "held out")] },
        { id: "truncated", title: "Cut off", unit: "share", floor: 0, tells: "Share of completions that reached the length limit.",
          lines: [line("truncated_frac", "training")], held: [line("truncated_frac", "held out")] },
        { id: "repetitive", title: "Ends in a loop", unit: "share", floor: 0, tells: "Share of completions that repeat themselves to their end.", lines: [line("repetitive_frac", "training")] },
        { id: "off_language", title: "Other language", unit: "share", floor: 0, tells: "Share of completions largely in another script than the question's.", lines: [line("off_language_frac", "training")] },
      ],
    },
    {
      title: "Is it healthy?", tells: "What goes wrong first shows here first.",
      charts: [
        { id: "entropy", title: "Entropy", unit: "number", floor: 0, tells: "How open the policy's choice of a token is, in nats. Near 0 nothing new is tried.", lines: [line("entropy", "policy")] },
        { id: "kl", title: "Distance to the reference", unit: "number", floor: 0, tells: "KL divergence in nats for each token.", lines: [line("kl", "KL")] },
        { id: "zero_spread", title: "Groups without spread", unit: "share", floor: 0, ceiling: 1, tells: "Share of completions whose group has equal rewards: they teach nothing.", lines: [line("zero_spread_frac", "without spread")] },
        { id: "clip", title: "Clipped tokens", unit: "share", floor: 0, tells: "Share of tokens whose ratio left the allowed range, upwards, downwards, or by the second bound.",
          lines: [line("clip_high_frac", "upper"), line("clip_low_frac", "lower"), line("dual_clip_frac", "second bound")] },
        { id: "difference", title: "Sampler against trainer", unit: "number", log: true, tells: "By how much their log-probabilities of the same tokens differ.",
          lines: [line("logprob_difference_mean", "mean"), line("logprob_difference_max", "largest")] },
        { id: "ratio", title: "Ratio", unit: "number", tells: "Policy to behaviour policy: 1 on the first update after sampling.", lines: [line("ratio_mean", "mean"), line("ratio_max", "largest")] },
        { id: "grad_norm", title: "Gradient", unit: "number", floor: 0, tells: "Its norm before clipping.", lines: [line("grad_norm", "norm")] },
        { id: "loss", title: "Loss of the step", unit: "number", tells: "Near 0 by construction on the first update after sampling; the gradient is not.", lines: [line("loss", "loss"), line("policy_loss", "policy part")] },
        { id: "scores", title: "Scores", unit: "number", tells: "What the reward model gives to safe and to unsafe answers.", lines: [line("safe_score", "safe"), line("unsafe_score", "unsafe")] },
        { id: "sft_entropy", title: "Perplexity", unit: "number", tells: "The exponential of the loss.", lines: [line("perplexity", "training")] },
        { id: "lr", title: "Learning rate", unit: "number", floor: 0, tells: "Of the optimizer.", lines: [line("learning_rate", "learning rate")] },
        { id: "ungraded", title: "Not graded", unit: "number", floor: 0, tells: "Completions without a reward, by cause.", lines: [line("ungraded", "ungraded"), line("grader_errors", "grader errors"), line("not_gradable", "not gradable"), line("refilled_groups", "refilled groups")] },
      ],
    },
    {
      title: "How fast is it?", tells: "Time, tokens and memory of a step.",
      charts: [
        { id: "speed", title: "Tokens per second", unit: "rate", floor: 0, tells: "While sampling, and while training.", lines: [line("generation_tokens_per_second", "sampling"), line("training_tokens_per_second", "training")] },
        { id: "seconds", title: "Seconds per step", unit: "seconds", floor: 0, tells: "Where the time goes.",
          lines: [line("wall_seconds", "whole step"), line("sampling_seconds", "sampling"), line("training_seconds", "training"), line("scoring_seconds", "reward models"), line("grading_wait_seconds", "waiting for grades")] },
        { id: "memory", title: "Memory", unit: "bytes", floor: 0, tells: "The most that the process has held.", lines: [line("peak_memory_bytes", "peak")] },
        { id: "tokens", title: "Tokens of a step", unit: "tokens", floor: 0, tells: "Trained on, and computed with their prompts.", lines: [line("trained_tokens", "trained"), line("computed_tokens", "computed")] },
        { id: "grading", title: "Grading", unit: "seconds", floor: 0, tells: "Seconds of grading, most of them beside sampling.", lines: [line("grading_seconds", "grading"), line("generation_seconds", "generation")] },
      ],
    },
  ];
}
