"""The frame of every page: head, heading, list of sections. Called by `page` and other pages."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .._core import __version__
from .bundle import policy


def document(
    title: str,
    style: str,
    sections: Sequence[tuple[str, str]],
    body: str,
    script: str = "",
    pictures: bool = False,
) -> str:
    """A self-contained page that fetches nothing; see `policy`.

    `sections` are (id, word) for the list in the heading; `body` is finished HTML.
    """
    contents = "".join(
        f'<li><a href="#{name}">{escape(words)}</a></li>' for name, words in sections
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy(style, script, pictures)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="chainrule {escape(__version__)}">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#{sections[0][0]}">Skip to the content</a>
<header class="top">
<h1>{escape(title)}</h1>
<nav aria-label="Sections"><ol>{contents}</ol></nav>
</header>
{body}
</body>
</html>
"""


def section(name: str, title: str, body: str) -> str:
    """A part of the page with its heading; `body` is finished HTML."""
    return (
        f'<section id="{name}" aria-labelledby="{name}-title">'
        f'<h2 id="{name}-title">{escape(title)}</h2>{body}</section>\n'
    )
