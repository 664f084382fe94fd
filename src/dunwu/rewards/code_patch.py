"""Applies a policy's patch to a repository, in the sandbox: a unified diff, or whole files."""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch

from dunwu.rewards.code_answer import extract_files, extract_patch
from dunwu.rewards.code_task import Repository, is_inner_path
from dunwu.rewards.code_verdict import JudgingError, TestResult
from dunwu.sandbox.executor import Executor
from dunwu.sandbox.records import Command, Limits

PROTECTED = (
    *("test_*.py", "*_test.py", "tests.py", "conftest.py", "tests/*", "test/*"),
    *("pytest.ini", "tox.ini", "setup.cfg", "setup.py", "pyproject.toml", "noxfile.py"),
    *("sitecustomize.py", "usercustomize.py", "*.pth", ".git/*"),
)
"""Files that a patch cannot change, besides those that the task names: tests, and what steers how they run. A
pattern without a slash holds in every folder; "tests/*" holds below every folder of that name."""

_PATCH_FILE = "answer.patch"
_HUNK = re.compile(r"^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@(.*)$")
_TARGET = re.compile(r"^\+\+\+ ([^\t\n]+)", re.MULTILINE)
_MOVED = re.compile(r"^(?:rename|copy) to ([^\t\n]+)", re.MULTILINE)
_GIT_ENVIRONMENT = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}


@dataclass(frozen=True)
class PatchedRepository:
    """The files after the patch, and the protected ones that it tried to change, which are as they were."""

    files: Mapping[str, str]
    kept: tuple[str, ...]


def is_protected(path: str, repository: Repository) -> bool:
    """Return whether a patch cannot change or make a file."""
    return any(
        fnmatch(path, pattern)
        or fnmatch(posixpath.basename(path), pattern)
        or ("/" in pattern and fnmatch(path, f"*/{pattern}"))
        for pattern in (*PROTECTED, *repository.protected)
    )


def apply_answer(
    answer: str, repository: Repository, executor: Executor, limits: Limits
) -> PatchedRepository | TestResult:
    """Return the repository with an answer's changes; CE with the reason where they cannot be made.

    Args:
        answer: holds a unified diff (`extract_patch`), else whole files named by their paths (`extract_files`).
    Raises:
        JudgingError: the sandbox failed, or git is not in it.
    """
    patch = extract_patch(answer)
    if patch is not None:
        changed = _apply_patch(patch, repository, executor, limits)
        if isinstance(changed, TestResult):
            return changed
    else:
        changed = {**repository.files, **extract_files(answer)}
    if changed == repository.files:
        return TestResult("CE", "the answer changes nothing: it holds no diff, and no file named by its path")
    return _with_protected_files(changed, repository)


def _apply_patch(
    patch: str, repository: Repository, executor: Executor, limits: Limits
) -> dict[str, str] | TestResult:
    targets = [path.strip() for path in _TARGET.findall(patch)]
    prefixed = all(path.startswith(("b/", "/dev/null")) for path in targets)
    paths = {path.partition("/")[2] if prefixed else path for path in targets if path != "/dev/null"}
    paths |= {path.strip() for path in _MOVED.findall(patch)}
    outside = sorted(path for path in paths if not is_inner_path(path))
    if outside:
        return TestResult("CE", f"the patch names {outside[0]!r}, which is not a path inside the repository")
    files = {path: text.encode() for path, text in repository.files.items()}
    command = Command(
        (
            "git",
            "apply",
            "--unidiff-zero",
            "--whitespace=nowarn",
            "-p1" if prefixed else "-p0",
            _PATCH_FILE,
        ),
        files={**files, _PATCH_FILE: recounted(patch).encode()},
        env=_GIT_ENVIRONMENT,
    )
    execution, outputs = executor.compile(command, limits, sorted({*files, *paths}))
    if execution.outcome == "refused":
        raise JudgingError(
            f"{execution.detail}; patches need git in the sandbox (Debian, Ubuntu: apt install git)"
        )
    if execution.outcome != "exited" or execution.exit_code != 0:
        said = execution.stderr.decode(errors="replace").strip() or execution.detail
        return TestResult("CE", f"the patch does not apply: {said}")
    try:
        return {path: content.decode() for path, content in outputs.items()}
    except UnicodeDecodeError:
        return TestResult("CE", "the patch makes a file that is not text")


def recounted(patch: str) -> str:
    """Return a unified diff whose hunks say how long they are, whatever they said, and whose empty context lines are
    marked as context. Both are often wrong in diffs that a model wrote, and neither leaves a doubt about the change.
    """
    lines = patch.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    out: list[str] = []
    hunk: list[str] = []
    header: re.Match[str] | None = None

    def finish() -> None:
        if header is not None:
            old = sum(line[:1] in (" ", "-") for line in hunk)
            new = sum(line[:1] in (" ", "+") for line in hunk)
            out.append(f"@@ -{header[1]},{old} +{header[2]},{new} @@{header[3]}")
            out.extend(hunk)

    for index, line in enumerate(lines):
        found = _HUNK.match(line)
        new_file = line.startswith("--- ") and index + 1 < len(lines) and lines[index + 1].startswith("+++ ")
        if found or new_file or line[:1] not in ("", " ", "+", "-", "\\"):
            finish()
            header, hunk = found, []
            if not found:
                out.append(line)
        elif header is not None:
            hunk.append(line or " ")
        else:
            out.append(line)
    finish()
    return "\n".join(out) + "\n"


def _with_protected_files(changed: Mapping[str, str], repository: Repository) -> PatchedRepository:
    original = repository.files
    touched = [path for path in {*changed, *original} if changed.get(path) != original.get(path)]
    kept = tuple(sorted(path for path in touched if is_protected(path, repository)))
    files = {path: text for path, text in changed.items() if path not in kept}
    return PatchedRepository({**files, **{path: original[path] for path in kept if path in original}}, kept)
