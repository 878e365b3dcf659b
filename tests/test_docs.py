"""The README and the pages: links lead somewhere, figures agree, and every page can be found."""

import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
PAGES = sorted(DOCS.rglob("*.md"))
TEXTS = (README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *PAGES)
_FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def links(path: Path) -> list[str]:
    """Targets of the links and images of a page, those in code left out."""
    text = _CODE.sub("", _FENCE.sub("", path.read_text()))
    return [one for one in _LINK.findall(text) if not re.match(r"[a-z]+:", one)]


@cache
def anchors(path: Path) -> frozenset[str]:
    """Of the headings of a page, as MkDocs makes them."""
    found: dict[str, int] = {}
    for heading in _HEADING.findall(_FENCE.sub("", path.read_text())):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
        ascii_ = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
        base = re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", ascii_).strip().lower())
        number = found.get(base, 0)
        found[base] = number + 1
        if number:
            found[f"{base}_{number}"] = 1
    return frozenset(found)


def leaves(tree: Any) -> list[str]:
    """The pages of a navigation."""
    if isinstance(tree, str):
        return [tree]
    parts = tree.values() if isinstance(tree, dict) else tree
    return [leaf for part in parts for leaf in leaves(part)]


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_links_lead_somewhere(path):
    for link in links(path):
        target, _, anchor = link.partition("#")
        there = (path.parent / target).resolve() if target else path
        assert there.exists(), link
        assert there.is_relative_to(ROOT), link
        if anchor:
            assert there.suffix == ".md", link
            assert anchor in anchors(there), link


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_pages_of_the_site_link_pages_not_folders(path):
    for link in links(path):
        target = link.partition("#")[0]
        there = (path.parent / target).resolve() if target else path
        assert not there.is_relative_to(DOCS) or there.is_file(), link


def test_slugs_are_those_of_mkdocs(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# What's `a.b`?\n## Über [it](x.md)\n## Twice\n## Twice\n```\n# no\n```\n")
    assert anchors(page) == {"whats-ab", "uber-it", "twice", "twice_1"}


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= 200


def test_every_page_is_in_the_navigation():
    listed = leaves(SITE["nav"])
    assert len(set(listed)) == len(listed)
    assert {str(page.relative_to(DOCS)) for page in PAGES} == set(listed)


def test_api_pages_name_modules_that_exist():
    for page in (DOCS / "api").glob("*.md"):
        modules = re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE)
        assert modules, page
        for module in modules:
            path = ROOT / module.replace(".", "/")
            assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file(), module


def rows(text: str) -> list[list[str]]:
    """The cells of all tables of a page."""
    lines = [line.strip() for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_readme_has_the_figures_of_the_page_of_maps():
    text = (DOCS / "results" / "maps.md").read_text()
    table = text[text.index("<!-- detection -->") : text.index("<!-- /detection -->")]
    head, *lines = rows(table)
    columns = ("system", "seeds", "pixels: AUROC", "pixels: AP", "tiles: AUROC", "tiles: AP")
    places = [head.index(name) for name in columns]
    recorded = [[line[place] for place in places] for line in lines if line[0] == "nanotwice"]
    shown = rows(README.read_text().partition("\n## Results\n")[2].partition("\n## ")[0])
    assert shown[0] == list(columns)
    for system, *figures in shown[2:]:
        assert [system.removesuffix(" (learns nothing)"), *figures] in recorded


def test_the_citation_is_complete():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors", "version", "license"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert f'version="{citation["version"]}"' in (ROOT / "setup.py").read_text()
    (thesis,) = citation["references"]
    assert (thesis["type"], thesis["year"]) == ("thesis", 2019)
    assert {"title", "authors", "institution"} <= set(thesis)


def test_the_workflow_runs_what_ci_runs():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    assert {"push", "pull_request"} <= set(workflow["on"])
    steps = workflow["jobs"]["tests"]["steps"]
    assert "bash .ci/run" in [step.get("run") for step in steps]


def test_pre_commit_has_the_ruff_of_the_tests():
    (version,) = re.findall(r'"(ruff[^"]+)"', (ROOT / "setup.py").read_text())
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = {hook["id"]: hook for repo in config["repos"] for hook in repo["hooks"]}
    for name in ("ruff-check", "ruff-format"):
        assert hooks[name]["additional_dependencies"] == [version]
    assert version in (DOCS / "requirements.txt").read_text().splitlines()
