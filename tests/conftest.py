"""Tiny random models of every family, and a byte tokenizer, for the rooms that need a policy; a chat service that answers."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from dunwu.models.loading import make_policy
from dunwu.models.policy import Policy
from dunwu.records import PackedBatch, Segment

VOCAB_SIZE = 272
_SIZES: dict[str, Any] = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.2,
    "bos_token_id": 256,
    "eos_token_id": 257,
    "pad_token_id": 258,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama", "head_dim": 8},
    "smollm2": {
        "model_type": "llama",
        "tie_word_embeddings": True,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "hidden_size": 36,
    },
    "llama31": {
        "model_type": "llama",
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 10000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32,
        },
    },
    "qwen2": {"model_type": "qwen2", "tie_word_embeddings": True},
    "qwen3": {"model_type": "qwen3", "head_dim": 16},
    "gemma3": {
        "model_type": "gemma3_text",
        "head_dim": 16,
        "query_pre_attn_scalar": 12,
        "sliding_window": 5,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "final_logit_softcapping": 4.0,
    },
    "gemma2": {
        "model_type": "gemma2",
        "head_dim": 16,
        "sliding_window": 6,
        "attn_logit_softcapping": 1.5,
        "final_logit_softcapping": 4.0,
    },
    "deepseek_v3": {
        "model_type": "deepseek_v3",
        "num_key_value_heads": 4,
        "n_routed_experts": 8,
        "num_experts_per_tok": 3,
        "n_group": 4,
        "topk_group": 2,
        "n_shared_experts": 1,
        "first_k_dense_replace": 1,
        "moe_intermediate_size": 24,
        "kv_lora_rank": 16,
        "q_lora_rank": 20,
        "qk_nope_head_dim": 12,
        "qk_rope_head_dim": 8,
        "v_head_dim": 10,
        "routed_scaling_factor": 1.5,
    },
    "qwen3_moe": {
        "model_type": "qwen3_moe",
        "head_dim": 8,
        "num_experts": 6,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 24,
        "decoder_sparse_step": 1,
    },
    "granite": {"model_type": "granite", "logits_scaling": 3.0, "attention_multiplier": 0.3},
}
"""What tells each family from `_SIZES`; the issue's families first, then others with a trait of their own."""


def build_model(family: str, *, seed: int = 0, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """A random model of a family, with transformers' own attention, norms and router biases moved off their
    start.
    """
    config = AutoConfig.for_model(**{**_SIZES, **FAMILIES[family]})
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if "norm" in name or "bias" in name:
                value += 0.2 * torch.randn(value.shape)
    return model.to(dtype).eval()


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Bytes as tokens 0 .. 255, then <bos>, <eos>, <pad>."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<eos>", bos_token="<bos>", pad_token="<pad>"
    )
    return tokenizer


@pytest.fixture
def tiny_model() -> Callable[..., PreTrainedModel]:
    """Makes random models: tiny_model(family, seed=..., dtype=...)."""
    return build_model


@pytest.fixture
def tiny_tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer()


@pytest.fixture
def tiny_policy() -> Callable[..., Policy]:
    """Makes random policies: tiny_policy(family, seed=..., dtype=...)."""

    def make(family: str, **options: Any) -> Policy:
        return make_policy(build_model(family, **options), build_tokenizer())

    return make


def pack_by_hand(groups: Sequence[tuple[Sequence[int], Sequence[Sequence[int]]]]) -> PackedBatch:
    """Prompts with their completions in one row, each prompt once; every completion token is a target."""
    token_ids: list[int] = []
    positions: list[int] = []
    segments: list[Segment] = []
    sources: list[int] = []
    targets: list[int] = []
    sequences: list[int] = []
    count = 0
    for prompt, completions in groups:
        first = len(token_ids)
        end = first + len(prompt)
        token_ids += prompt
        positions += range(len(prompt))
        segments.append(Segment(first, end))
        for completion in completions:
            start = len(token_ids)
            token_ids += completion
            positions += range(len(prompt), len(prompt) + len(completion))
            segments.append(Segment(start, len(token_ids), first, end))
            sources += [end - 1, *range(start, len(token_ids) - 1)]
            targets += completion
            sequences += [count] * len(completion)
            count += 1
    return PackedBatch(
        torch.tensor(token_ids),
        torch.tensor(positions),
        tuple(segments),
        torch.tensor(sources),
        torch.tensor(targets),
        torch.tensor(sequences),
        count,
    )


@pytest.fixture
def make_batch() -> Callable[..., PackedBatch]:
    """Packs [(prompt ids, [completion ids, ...]), ...] without the packing room."""
    return pack_by_hand


@pytest.fixture
def random_ids() -> Callable[..., list[int]]:
    """Makes byte tokens: random_ids(length, seed)."""

    def make(length: int, seed: int) -> list[int]:
        generator = torch.Generator().manual_seed(1000 * seed + length)
        return torch.randint(0, 256, (length,), generator=generator).tolist()

    return make


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `family` runs for every family."""
    if "family" in metafunc.fixturenames:
        metafunc.parametrize("family", list(FAMILIES))


class ChatService:
    """A service on the loopback interface: what it was asked, and how many requests it had at the same time at most.

    `respond` takes the number of the request (from 1) and its body, and returns status and body of the answer.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.requests: list[tuple[str, dict[str, Any], str | None]] = []
        self.inside = self.most_inside = 0
        self.respond: Callable[[int, dict[str, Any]], tuple[int, bytes]] = lambda number, body: (500, b"")
        self.url = ""

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        """Note down a request and answer it."""
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self.lock:
            self.requests.append((handler.path, body, handler.headers.get("Authorization")))
            number = len(self.requests)
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
        try:
            try:
                status, data = self.respond(number, body)
            finally:
                with (
                    self.lock
                ):  # before the client can know, or its next request would be counted beside this one
                    self.inside -= 1
            handler.send_response(status)
            handler.send_header("Content-Length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client gave up


@pytest.fixture
def chat_service() -> Iterator[ChatService]:
    """A chat service on a free port, taken down afterwards."""
    state = ChatService()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            state.handle(self)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 64  # more than any test asks at once

    server = Server(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()
