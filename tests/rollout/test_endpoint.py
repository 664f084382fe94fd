"""A service on the loopback interface that really answers: well, slowly, busily, with garbage, or not at all."""

import json
import threading
import time
from typing import Any

import pytest

from dunwu.config.asking import AskedEndpoint
from dunwu.errors import ConfigError, DependencyError
from dunwu.rollout.asking import open_asker
from dunwu.rollout.endpoint import EndpointAsker


def reply(text: str | None, reason: str = "stop") -> bytes:
    return json.dumps({"choices": [{"message": {"content": text}, "finish_reason": reason}]}).encode()


@pytest.fixture
def service(chat_service: Any) -> Any:
    chat_service.respond = lambda _, body: (200, reply(f"heard {body['messages'][0]['content']}"))
    return chat_service


def config(service: Any, **changes: Any) -> AskedEndpoint:
    given = {"base_url": service.url, "model": "judge-1", "retry_seconds": 0.001, **changes}
    return AskedEndpoint.model_validate(given)


def test_answers_come_in_the_order_of_the_questions(service: Any) -> None:
    questions = [f"question {i}" for i in range(20)]
    told: list[tuple[int, int]] = []
    found = EndpointAsker(config(service)).complete(questions, lambda done, total: told.append((done, total)))
    assert found == [(f"heard {question}", "stop") for question in questions]
    assert told == [(i, 20) for i in range(1, 21)]


def test_what_is_sent_is_what_the_recipe_says(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "s3cret")
    asked = config(service, api_key_env="JUDGE_KEY", temperature=0.5, max_new_tokens=7)
    EndpointAsker(asked).complete(["why?"])
    assert service.requests == [
        (
            "/v1/chat/completions",
            {
                "model": "judge-1",
                "messages": [{"role": "user", "content": "why?"}],
                "temperature": 0.5,
                "max_tokens": 7,
            },
            "Bearer s3cret",
        )
    ]
    assert "s3cret" not in asked.model_dump_json()


def test_no_key_is_sent_where_none_is_named_and_a_missing_one_is_told(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    EndpointAsker(config(service)).complete(["why?"])
    assert service.requests[0][2] is None
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    with pytest.raises(ConfigError, match="JUDGE_KEY, which is not set"):
        EndpointAsker(config(service, api_key_env="JUDGE_KEY"))


def test_no_more_requests_than_allowed_are_under_way(service: Any) -> None:
    def respond(number: int, body: dict[str, Any]) -> tuple[int, bytes]:
        time.sleep(0.01)
        return 200, reply("ok")

    service.respond = respond
    EndpointAsker(config(service, max_parallel=3)).complete(["q"] * 15)
    assert 1 <= service.most_inside <= 3


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (429, b"slow down"),
        (503, b""),
        (500, b"oops"),
        (200, b"<html>not json</html>"),
        (200, b"[]"),
        (200, b'{"choices": []}'),
        (200, b'{"choices": [{"message": {"content": [1]}}]}'),
    ],
)
def test_what_may_pass_is_tried_again(service: Any, status: int, body: bytes) -> None:
    service.respond = lambda number, _: (status, body) if number < 3 else (200, reply("at last"))
    assert EndpointAsker(config(service, num_retries=2)).complete(["q"]) == [("at last", "stop")]
    assert len(service.requests) == 3


def test_after_all_tries_the_run_stops_and_says_why(service: Any) -> None:
    service.respond = lambda *_: (503, b"no model loaded")
    with pytest.raises(
        DependencyError, match=r"in 3 tries: HTTP 503 no model loaded; .* goes on where it stopped"
    ):
        EndpointAsker(config(service, num_retries=2, max_parallel=1)).complete(["q"] * 50)
    assert len(service.requests) == 3  # the others were never sent


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refusal_is_not_tried_again(service: Any, status: int) -> None:
    service.respond = lambda *_: (status, b"no such model")
    with pytest.raises(
        DependencyError, match=f"HTTP {status} no such model; correct base_url, model or the key"
    ):
        EndpointAsker(config(service, max_parallel=1)).complete(["q", "q"])
    assert len(service.requests) == 1


def test_a_service_that_keeps_silent_is_left_after_its_time(service: Any) -> None:
    gate = threading.Event()

    def respond(number: int, body: dict[str, Any]) -> tuple[int, bytes]:
        if number == 1:
            gate.wait(20)
        return 200, reply("awake")

    service.respond = respond
    try:
        found = EndpointAsker(config(service, timeout_seconds=0.3, num_retries=5)).complete(["q"])
    finally:
        gate.set()
    assert found == [("awake", "stop")]
    assert len(service.requests) >= 2


def test_where_nobody_listens_the_address_is_told() -> None:
    asked = AskedEndpoint(base_url="http://127.0.0.1:9/v1", model="m", num_retries=1, retry_seconds=0)
    with pytest.raises(DependencyError, match=r"http://127\.0\.0\.1:9/v1 gave no completion in 2 tries"):
        EndpointAsker(asked).complete(["q"])


def test_thinking_is_taken_off_and_faults_are_told(service: Any) -> None:
    said = {
        "plain": reply(" fine "),
        "thinks": reply("<think>hm</think>\n\nso"),
        "cut": reply("half", "length"),
        "empty": reply(None),
    }
    service.respond = lambda _, body: (200, said[body["messages"][0]["content"]])
    with open_asker(config(service), {}, 0) as asker:
        answers = asker.ask(list(said))
    assert [(answer.text, answer.fault) for answer in answers] == [
        ("fine", None),
        ("so", None),
        ("half", "cut"),
        ("", "empty"),
    ]
    with open_asker(config(service), {}, 0) as asker:
        assert asker.ask([]) == []
