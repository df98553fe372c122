"""The files of `assets/` made ready for one page: scripts joined, style and script allowed by hash.

Called by `page`; another page may join other modules.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from importlib import resources

MODULES = ("model", "selection", "inspector", "highlight", "roving", "main")


def bundle(names: Iterable[str] = MODULES) -> str:
    """The scripts as one inline module: imports go, exports stay as plain names."""
    text = "".join(f"// {name}.js\n{asset(f'{name}.js')}\n" for name in names)
    text = re.sub(r"^import .*?;\n", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^export ", "", text, flags=re.MULTILINE)


def asset(name: str) -> str:
    """The text of a file of `assets/`."""
    folder = resources.files(__package__ or "chainrule.report") / "assets"
    return (folder / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def policy(style: str, script: str = "", pictures: bool = False) -> str:
    """A content security policy that allows this style and this script, and nothing else.

    `pictures` allows those whose data stand in the page.
    """
    rules = ["default-src 'none'", f"style-src {_hash(style)}"]
    rules += [f"script-src {_hash(script)}"] if script else []
    rules += ["img-src data:"] if pictures else []
    rules += ["base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'"]
    return "; ".join(rules)
