"""The server: which hosts it answers to, what its pages may load, how it tells errors, and what each route answers."""

from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from dunwu.dashboard.app import STATIC, create_app
from dunwu.dashboard.errors import ApiError
from dunwu.dashboard.guard import host_name, is_address
from dunwu.dashboard.replies import api_route, encode
from dunwu.dashboard.store import RunStore
from dunwu.errors import RunError


def client(*paths: Path, **options: Any) -> TestClient:
    return TestClient(
        create_app(paths, **options), base_url="http://localhost:6006", raise_server_exceptions=False
    )


def test_only_hosts_that_cannot_be_pointed_elsewhere_are_answered(finished_run: Path) -> None:
    here = client(finished_run)
    for host in ("localhost", "127.0.0.1:6006", "[::1]:6006", "LOCALHOST:1"):
        assert here.get("/api/runs", headers={"host": host}).status_code == 200, host
    for host in ("evil.example", "localhost.evil.example", "192.168.0.7", "", "127.0.0.1.evil.example:6006"):
        answer = here.get("/api/runs", headers={"host": host})
        assert answer.status_code == 421, host
        assert "does not answer to the host" in answer.json()["error"]
    everywhere = client(finished_run, hosts=("box",), any_address=True)
    assert everywhere.get("/", headers={"host": "192.168.0.7:6006"}).status_code == 200
    assert everywhere.get("/", headers={"host": "box:6006"}).status_code == 200
    assert everywhere.get("/", headers={"host": "evil.example"}).status_code == 421
    assert host_name("[::1]:80") == "::1"
    assert not is_address("box")


def test_other_sites_and_other_methods_are_refused(finished_run: Path) -> None:
    here = client(finished_run)
    assert (
        here.get(
            "/api/runs", headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
        ).status_code
        == 403
    )
    assert (
        here.get("/", headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}).status_code
        == 200
    )
    assert here.post("/api/runs").status_code == 405
    assert here.delete("/api/runs/whole").status_code == 405


def test_every_answer_says_what_pages_may_load(finished_run: Path) -> None:
    here = client(finished_run)
    for path in ("/", "/api/runs", "/static/app.js", "/api/nothing"):
        policy = here.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "require-trusted-types-for 'script'" in policy
    assert here.get("/static/../app.py").status_code == 404
    assert here.get("/static/%2e%2e/app.py").status_code == 404


def test_nothing_in_the_front_end_reads_text_as_markup_or_asks_elsewhere() -> None:
    own = [
        path
        for path in STATIC.rglob("*")
        if path.suffix in (".js", ".css", ".html") and "vendor" not in path.parts
    ]
    assert len(own) > 15
    for path in own:
        text = path.read_text(encoding="utf-8")
        for forbidden in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
        ):
            assert forbidden not in text.replace("never uses innerHTML", ""), (path, forbidden)
        assert "https://" not in text, path
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", ""), path


def test_what_has_not_changed_is_not_sent_again(finished_run: Path) -> None:
    here = client(finished_run)
    first = here.get("/api/runs/whole/stages/r1_zero/series")
    again = here.get(
        "/api/runs/whole/stages/r1_zero/series", headers={"if-none-match": first.headers["etag"]}
    )
    assert again.status_code == 304
    assert again.content == b""
    epoch = first.json()["epoch"]
    after = here.get(f"/api/runs/whole/stages/r1_zero/series?since=38&epoch={epoch}").json()
    assert (after["since"], after["steps"]) == (38, [39, 40])
    assert here.get("/api/runs/whole/stages/r1_zero/series?since=38&epoch=other").json()["since"] == 0


def test_the_figures_of_a_stage(finished_run: Path) -> None:
    data = client(finished_run).get("/api/runs/whole/stages/r1_zero/series").json()
    assert data["steps"] == list(range(1, 41))
    assert data["columns"]["length_mean"][:2] == [22, 24]
    assert data["columns"]["length_mean_wrong"][6] is None
    assert data["columns"]["peak_memory_bytes"][0] == 1_800_000_000
    assert [record["step"] for record in data["evaluations"]] == [0, 40]
    assert data["evaluations"][1]["pass_at_1_interval"] == [pytest.approx(0.87), pytest.approx(0.93)]
    lines = client(finished_run).get("/api/runs/whole/stages/r1_zero/figures.csv").text.splitlines()
    assert len(lines) == 41
    assert lines[0].startswith("step,")


def test_runs_are_set_side_by_side(finished_run: Path, tmp_path: Path, small_chain: Any) -> None:
    other = small_chain.finished(tmp_path / "other", learning_rate=1e-3)
    here = client(finished_run, other)
    data = here.get("/api/compare?runs=whole,other").json()
    assert [run["id"] for run in data["runs"]] == ["whole", "other"]
    assert data["recipe"] == [
        {"key": "stages.r1_zero.optimizer.learning_rate", "values": ["0.0003", "0.001"]}
    ]
    assert here.get("/api/compare?runs=whole").status_code == 400
    assert here.get("/api/compare?runs=whole,gone").status_code == 404


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/api/runs/gone", 404, "there is no run 'gone'"),
        ("/api/nothing", 404, "there is nothing at /api/nothing"),
        ("/api/runs/whole/stages/.hidden/series", 400, "is not the name of a stage"),
        ("/api/runs/whole/stages/r1_zero/series?since=-1", 400, "since=-1 must be a whole number"),
        ("/api/runs/whole/stages/r1_zero/series?since=x", 400, "since=x must be a whole number"),
        ("/api/runs/whole/table?stage=sft", 404, "has no comparison 'sft'"),
        ("/api/runs/gone/stages/r1_zero/figures.csv", 404, "there is no run 'gone'"),
    ],
)
def test_what_cannot_be_answered_is_told(finished_run: Path, path: str, status: int, text: str) -> None:
    answer = client(finished_run).get(path)
    assert answer.status_code == status
    assert text in answer.json()["error"]


@pytest.mark.parametrize(
    ("error", "status"), [(ApiError(400, "no"), 400), (RunError("no"), 409), (ZeroDivisionError("no"), 500)]
)
def test_errors_of_every_family_become_a_sentence(error: Exception, status: int) -> None:
    from starlette.applications import Starlette

    def answer(request: Request) -> None:
        raise error

    reply = TestClient(Starlette(routes=[api_route("/x", answer)])).get("/x")
    assert reply.status_code == status
    assert "no" in reply.json()["error"]


def test_numbers_that_json_does_not_have_become_null() -> None:
    assert (
        encode({"a": [float("nan"), 1.5], "b": (float("inf"),), "ü": "文"})
        == '{"a":[null,1.5],"b":[null],"ü":"文"}'.encode()
    )


def test_runs_are_found_where_they_are_and_keep_their_names(tmp_path: Path, finished_run: Path) -> None:
    for name in ("a/one", "a/two", "b/deep/one", ".hidden/run", "b/deep/too/deep"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "events.jsonl").touch()
    (tmp_path / "a" / "one" / "r1_zero").mkdir()
    (tmp_path / "a" / "one" / "r1_zero" / "manifest.json").touch()  # a stage is no run
    (tmp_path / "link").symlink_to(tmp_path / "a" / "one")
    store = RunStore([tmp_path, tmp_path / "a", finished_run, tmp_path / "missing"])
    assert [run.id for run in store.runs()] == ["a~one", "a~two", "b~deep~one", "whole"]
    assert store.path("a~one") == tmp_path / "a" / "one"
    assert store.view("a~one") is store.view("a~one")
    twice = RunStore([tmp_path / "a" / "one", tmp_path / "b" / "deep" / "one"])
    assert [run.id for run in twice.runs()] == ["one", "one~2"]
    with pytest.raises(ApiError, match="is not the name of a stage"):
        store.stage_path("whole", "../x")
