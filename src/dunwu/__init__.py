"""dunwu (顿悟): the whole DeepSeek-R1 recipe, from a base model to a reasoning model."""

__version__ = "0.1.0"
