"""Names that attack: pages, sheets and the direction of writing."""

from __future__ import annotations

HOSTILE = (
    "</script><script>alert(1)</script>",
    "</bdi></td></table><img src=x onerror=alert(1)>",
    '"><a href="https://example.com">x</a>',
    "</style><style>*{display:none}",
    "=cmd()|'/c calc'!A1",
    "\u202egnirts desrever",
    "<!-- ",
    "&lt;b&gt;&#0;{amount}{0.__class__}%s",
    "nul\x00 bell\x07 next\x85",
)
