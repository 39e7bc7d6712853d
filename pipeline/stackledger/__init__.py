"""Where the time of a request went, and what it cost."""

__version__ = "0.1.0"
