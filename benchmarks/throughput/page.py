"""How a measurement is written: a page of title, text and table, and the table again as CSV."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def write(stem: Path, title: str, text: str, found: pd.DataFrame) -> Path:
    """Writes `stem`.csv and .md, a page of title, text and table; returns the page."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    found.to_csv(stem.with_name(f"{stem.name}.csv"), index=False, lineterminator="\n")
    page = stem.with_name(f"{stem.name}.md")
    page.write_text(f"# {title}\n\n{text}\n\n{found.to_markdown(index=False)}\n", encoding="utf-8")
    return page
