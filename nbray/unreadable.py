"""Owns the list of what msgspec raises for bytes that are not what was expected, whoever wrote them."""

from __future__ import annotations

import msgspec

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""Its own errors, one for text that is no UTF-8, and one for values nested deeper than the stack."""
