"""A hook of MkDocs: links from a page to files of the repository that are not part of the site.

On a page in `docs/` a link such as `../experiments/results/README.md` works where the repository is
browsed. On the site it leads to `repo_url`, if mkdocs.yml sets it; else its text alone is shown.
"""

import posixpath
import re
from typing import Any

_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((\.\.?/[^)\s]+)\)")


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """The text of a page with its links out of `docs/` replaced."""
    folder = posixpath.join("docs", posixpath.dirname(page.file.src_uri))

    def replace(match: re.Match) -> str:
        text, target = match.groups()
        path = posixpath.normpath(posixpath.join(folder, target))
        if path.startswith("docs/"):
            return match.group(0)
        if config.repo_url:
            return f"[{text}]({config.repo_url.rstrip('/')}/blob/main/{path})"
        return text if "/" in text else f"{text} (`{path}`)"

    return _LINK.sub(replace, markdown)
