"""Templates to a page that needs nothing beside itself."""

import base64
from pathlib import Path
from typing import Any

import jinja2

from semad.utils.files import write_text


def format_figure(value: float | None) -> str:
    """Three digits, or a dash for what is not defined."""
    return "–" if value is None else f"{value:.3f}"


def format_share(value: float | None) -> str:
    """A share in percent, or a dash for what is not defined."""
    return "–" if value is None else f"{100 * value:.3g} %"


def data_uri(content: bytes, kind: str = "png") -> str:
    """A picture as part of the page."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def write_page(path: Path, template: str, **values: Any) -> None:
    """Fills a template of `semad/reports/templates`; the page replaces an earlier one."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("semad.reports", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"figure": format_figure, "share": format_share}
    write_text(path, environment.get_template(template).render(**values))
