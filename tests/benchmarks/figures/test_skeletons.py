"""Pictures: files exist, are the same bytes each time, carry their labels, and refuse what cannot be drawn.

Why: a figure is a result; a label that runs off the page or a date inside the file is a defect like any other.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from benchmarks.datasets import store
from benchmarks.datasets.standin import synthetic
from benchmarks.figures import skeletons as figures
from benchmarks.figures import style
from tests.benchmarks.datasets import toy


def recorded(stem: str = "skeletons-irds") -> figures.Page:
    x, _ = synthetic.generate("irds", "smoke", 16)
    rows = [figures.Sequence3D("left", x[0]), figures.Sequence3D("right", x[20])]
    return figures.Page(stem, "Two recordings", "Somebody 2021, CC BY", rows)


def written(out: Path, pages: list[figures.Page]) -> list[Path]:
    with style.settings():
        drawn = figures.drawn(pages)
    return [path for stem, figure in drawn.items() for path in style.save(figure, out, stem)]


def test_two_files_for_each_page(tmp_path: Path) -> None:
    files = written(tmp_path / "deep" / "er", [recorded()])
    assert [f.name for f in files] == [
        "skeletons-stand-in.png", "skeletons-stand-in.svg", "skeletons-irds.png", "skeletons-irds.svg",
    ]  # fmt: skip
    assert files[0].read_bytes().startswith(b"\x89PNG")
    for svg in files[1::2]:
        assert ET.parse(svg).getroot().tag.endswith("svg")
    assert all(f.stat().st_size > 10_000 for f in files)


def test_same_bytes_whatever_was_set_before(tmp_path: Path) -> None:
    first = written(tmp_path / "a", [recorded()])
    with matplotlib.rc_context({"svg.hashsalt": "other", "lines.linewidth": 9, "font.size": 30, "savefig.dpi": 30}):
        again = written(tmp_path / "b", [recorded()])
    for one, two in zip(first, again, strict=True):
        assert one.read_bytes() == two.read_bytes(), one.name
    assert b"<dc:date>" not in first[1].read_bytes()


def test_labels_stay_on_the_paper_and_apart() -> None:
    figure = figures.draw(figures.stand_in_page())
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    whole = figure.bbox
    texts = [t for t in figure.findobj(Text) if isinstance(t, Text) and t.get_visible() and t.get_text()]
    boxes = [t.get_window_extent() for t in texts]
    assert len(boxes) >= 12
    for text, box in zip(texts, boxes, strict=True):
        assert min(box.x0, box.y0) >= 0, text.get_text()
        assert box.x1 <= whole.x1, text.get_text()
        assert box.y1 <= whole.y1, text.get_text()
        assert float(text.get_fontsize()) >= 10
    for k, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[k + 1 :]), texts[k].get_text()


def test_the_right_hand_is_drawn_to_the_left_as_a_camera_sees_it() -> None:
    x = np.zeros((3, 1, 25, 1))
    x[0, 0, 10] = 0.5  # +x is the right of a person who faces the sensor
    across, up = figures.project(x)
    assert across[0, 10, 0] < -0.3
    assert abs(up[0, 10, 0]) < 0.1


def test_nobody_stands_in_anybody_s_way() -> None:
    for row in figures.stand_in_page().rows:
        present = np.any(row.x, axis=(0, 1, 2))
        widths = np.ptp(figures.project(row.x)[0], axis=(0, 1))[present]
        assert widths.max() < figures.STEP_WIDTH * (0.5 if present.sum() == 2 else 1.0), row.title


def test_both_people_of_a_two_person_action_are_shown() -> None:
    page = figures.stand_in_page()
    pairs = [row for row in page.rows if np.any(row.x[..., 1])]
    assert len(pairs) == 2
    heads = [len(axes.lines) for axes in figures.draw(page).axes]
    assert max(heads) > min(heads) + figures.STEPS - 1


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (recorded("skeletons-stand-in"), "one file"),
        (figures.Page("empty", "t", "c", []), "no rows"),
        (
            figures.Page("flat", "t", "c", [figures.Sequence3D("r", np.ones((3, 4, 20, 1)))]),
            r"\(3, 4, 20, 1\)",
        ),
        (figures.Page("void", "t", "c", [figures.Sequence3D("r", np.zeros((3, 4, 25, 1)))]), "no person"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_anything_is_written(
    tmp_path: Path, page: figures.Page, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        written(tmp_path, [page])
    assert not list(tmp_path.iterdir())


def test_prepared_recordings_get_a_page(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    clips = [
        ({"name": f"c{n}", "label": n % 9, "subject": n}, generator.standard_normal((3, 16, 25, 1)).astype("float32"))
        for n in range(18)
    ]
    folder = store.folder_of(tmp_path, "irds", 16)
    toy.put(folder, clips, classes=9, persons=1)
    page = figures.recorded_page("irds", 16, tmp_path)
    assert page.stem == "skeletons-irds"
    assert 4 <= len(page.rows) <= 8
    np.testing.assert_array_equal(page.rows[0].x, clips[0][1])
