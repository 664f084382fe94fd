"""How the API speaks: JSON with a tag of its content, 304 where nothing has changed, and errors as {"error": sentence}.

Numbers that JSON does not have (a damaged file may hold NaN) become null. Called by every file of routes.
"""

import json
import logging
import math
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dunwu.dashboard.errors import ApiError
from dunwu.errors import DunwuError

_LOG = logging.getLogger("dunwu.dashboard")


def json_reply(request: Request, data: Any) -> Response:
    """Answer with `data`; without a body if the page has it already (its If-None-Match names the same content)."""
    body = encode(data)
    tag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


def encode(data: Any) -> bytes:
    """Write plain data as compact JSON."""
    try:
        return to_json(data, inf_nan_mode="null")
    except ValueError:  # half of a character: a text was cut in the middle of one
        return json.dumps(_finite(data), allow_nan=False, separators=(",", ":")).encode()


def api_route(path: str, answer: Callable[[Request], Any]) -> Route:
    """Make a route whose `answer` returns plain data; it runs in a thread, and may read files.

    An `ApiError` keeps its status, any other error of the family is a damaged run (409), and anything else a fault of ours (500):
    all reach the page as a sentence.
    """

    def endpoint(request: Request) -> Response:
        try:
            return json_reply(request, answer(request))
        except ApiError as error:
            return error_reply(error.status, str(error))
        except DunwuError as error:
            return error_reply(409, str(error))
        except Exception as error:
            _LOG.exception("%s could not be answered", request.url.path)
            return error_reply(
                500, f"the dashboard failed at {request.url.path}: {type(error).__name__}: {error}"
            )

    return Route(path, endpoint, methods=["GET"])


def error_reply(status: int, message: str) -> JSONResponse:
    """Answer with an error."""
    return JSONResponse({"error": message}, status_code=status, headers={"Cache-Control": "no-store"})


def query_int(request: Request, name: str, default: int, low: int = 0, high: int = 2**53) -> int:
    """Read a whole number from the address.

    Raises:
        ApiError: 400, it is no whole number from `low` to `high`.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise ApiError(400, f"{name}={text} must be a whole number from {low} to {high}")
    return value


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value
