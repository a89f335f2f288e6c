"""Proven plans for digital-twin-assisted knowledge distillation."""

__version__ = "0.1.0"
