"""Keeps the libraries that models are loaded with from talking over our own progress."""


def quiet_libraries() -> None:
    """Switch off transformers' progress bars in this process."""
    from transformers.utils import logging

    logging.disable_progress_bar()
