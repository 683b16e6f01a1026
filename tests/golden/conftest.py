"""Packing nights are solved by trying every plan."""

from golden_night import by_enumeration

__all__ = ["by_enumeration"]
