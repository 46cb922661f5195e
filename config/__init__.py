"""What an admin writes: YAML read into validated settings, with errors that name file, line and column."""

from .load import ConfigError, load
from .model import Config

__all__ = ["Config", "ConfigError", "load"]
