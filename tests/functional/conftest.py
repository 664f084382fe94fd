"""What tests of functions that have kernels share."""

from collections.abc import Iterator

import pytest

from dunwu.kernels import build


@pytest.fixture(params=["kernels", "torch"], scope="module")
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """All of a module holds with the kernels, where there are some, and with torch alone."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "torch":
            patch.setattr(build, "_load", lambda: (None, "switched off by a test"))
        yield request.param
