"""Hook of MkDocs: formulas become MathML when the site is built, which browsers show without any script."""

import re
from html import unescape
from typing import Any

from latex2mathml.converter import convert

INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
BLOCK = re.compile(r'<div class="arithmatex">\\\[(.*?)\\\]</div>', re.DOTALL)


def on_page_content(html: str, **_: Any) -> str:
    """Turn each formula, in LaTeX, into MathML; a formula that cannot be read is an error of the build."""
    html = BLOCK.sub(lambda match: convert(unescape(match[1]).strip(), display="block"), html)
    return INLINE.sub(lambda match: convert(unescape(match[1]).strip()), html)
