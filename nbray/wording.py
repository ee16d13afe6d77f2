"""Owns how sizes, times, counts and foreign text are worded for people, in cards, notices and messages."""

from __future__ import annotations

import unicodedata

NO_MATHEMATICS = "mathjax_ignore tex2jax_ignore"
"""The classes that say so, to MathJax 3 and to MathJax 2."""


def one_line(text: str, limit: int = 200) -> str:
    """Foreign text made harmless: one line, no control or direction characters, at most `limit` characters.

    >>> one_line("fit\\x1b[31m\\nrest")
    'fit�[31m rest'
    """
    if len(text) > 4 * limit:
        text = text[: 4 * limit]
    clean = "".join(" " if c.isspace() else "\N{REPLACEMENT CHARACTER}" if _invisible(c) else c for c in text)
    clean = " ".join(clean.split())
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def plain_html(written: str) -> str:
    """HTML whose foreign texts pages show as they are: JupyterLab and exported notebooks take `$x$` in others for mathematics."""
    return f'<div class="{NO_MATHEMATICS}">{written}</div>'


def _invisible(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn")


def size_text(size: int) -> str:
    """A number of bytes.

    >>> size_text(512), size_text(3_400_000), size_text(2 * 1024**3)
    ('512 B', '3.2 MiB', '2.0 GiB')
    """
    if size < 1024:
        return f"{size} B"
    unit = "KiB" if size < 1000 * 1024 else "MiB" if size < 1000 * 1024**2 else "GiB"
    value = size / {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}[unit]
    return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"


def time_text(seconds: float) -> str:
    """A span of time.

    >>> time_text(0.0423), time_text(12.34), time_text(125), time_text(3900)
    ('42 ms', '12.3 s', '2 min 5 s', '1 h 5 min')
    """
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def rate_text(per_second: float) -> str:
    """How many a second, or a minute when they are slow.

    >>> rate_text(1234.5), rate_text(3.21), rate_text(0.05)
    ('1,234/s', '3.2/s', '3.0/min')
    """
    if per_second >= 100:
        return f"{per_second:,.0f}/s"
    return f"{per_second:.1f}/s" if per_second >= 0.5 else f"{per_second * 60:.1f}/min"


def count_text(count: int, noun: str) -> str:
    """A count with its noun.

    >>> count_text(1, "task"), count_text(12345, "task")
    ('1 task', '12,345 tasks')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
