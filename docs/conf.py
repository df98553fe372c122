"""The site: Sphinx over this folder. Formulas become MathML here, so a page fetches nothing."""

from __future__ import annotations

import re
from typing import Any

import latex2mathml.converter
from docutils.nodes import SkipNode

project = "chainrule"
author = ""
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "chainrule"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_copyright = False


_PRIME = re.compile(r"<msup>(<mi>\w</mi>)<mi>&#x02032;</mi></msup>")
_FUNCTION = r"<mi>(?:sin|cos|tanh|exp|ln)</mi>"
_THIN = '<mspace width="0.17em" />'


def _mathml(formula: str, display: str) -> str:
    made = latex2mathml.converter.convert(formula, display=display)
    # The sign of f' is raised by itself: as a superscript it would be raised twice.
    made = _PRIME.sub(r'<mrow>\1<mo lspace="0" rspace="0">&#x02032;</mo></mrow>', made)
    # "cos y", not "cosy".
    made = re.sub(rf"(?<!<msup>)({_FUNCTION})(?!<mo)", rf"\1{_THIN}", made)
    made = re.sub(rf"(</(?:mi|mn|msup|msub)>)({_FUNCTION})", rf"\1{_THIN}\2", made)
    return made.replace("<mo>&#x0007C;</mo>", '<mo lspace="0" rspace="0">&#x0007C;</mo>')


def _inline(writer: Any, node: Any) -> None:
    writer.body.append(_mathml(node.astext(), "inline"))
    raise SkipNode


def _block(writer: Any, node: Any) -> None:
    formula = _mathml(node.astext(), "block")
    writer.body.append(f'<div class="formula">{formula}</div>\n')
    raise SkipNode


def setup(app: Any) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
