"""What the API answers when it cannot answer: an HTTP status, a sentence, and what to do next."""

from dunwu.errors import DunwuError


class ApiError(DunwuError):
    """A request that cannot be answered; the page shows its message.

    Args:
        status: 400 a parameter is wrong, 404 there is no such thing, 409 it is there and damaged.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
