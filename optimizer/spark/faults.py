"""What Spark says when it cannot go on, without its stack."""

from __future__ import annotations


def first_line(error: Exception) -> str:
    """Spark's message, without its stack."""
    said = [line.strip() for line in str(error).splitlines() if line.strip()]
    java = [line for line in said if line.startswith(": ")]
    return (java or said or [type(error).__name__])[0].removeprefix(": ")
