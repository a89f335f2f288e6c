"""The version of this package, as written into every file that it makes."""

__version__ = "0.1.0"
