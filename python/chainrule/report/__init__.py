"""One step of a network as a page: every number opens its own formula.

>>> from chainrule import report, walkthrough
>>> html = report.page(*walkthrough.example())
>>> html.startswith("<!DOCTYPE html>")
True
"""

from .page import TITLE, build
from .subject import Subject

__all__ = ["Subject", "page"]


def page(*arguments: object, title: str = TITLE, **options: object) -> str:
    """placeholder"""
    return build(Subject(*arguments, **options), title)
