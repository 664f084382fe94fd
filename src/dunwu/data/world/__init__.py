"""The embedded world: verifiable problems in English and Chinese, and the corpus from which `micro` was made."""
