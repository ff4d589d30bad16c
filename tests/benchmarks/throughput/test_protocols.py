"""`profile protocols` compares forms that agree, and counts what they save: passes through the encoder, searches."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

import bench
from benchmarks.throughput import evaluation, evaluation_forms, registry
from benchmarks.throughput.evaluation import SMOKE, Sizes
from benchmarks.throughput.evaluation_forms import OURS, PLAIN
from protocols import linear


def test_a_page_with_every_part(tmp_path: Path) -> None:
    said: list[str] = []
    path = evaluation.profile(SMOKE, "cpu", 1, tmp_path, said.append)
    text = path.read_text()
    assert path.name.startswith("protocols-")
    assert "`python bench.py profile protocols` on " in text
    assert "is that of one epoch, measured once a round, times 4; on the smaller one both forms ran all" in text
    found = pd.read_csv(path.with_suffix(".csv"))
    assert len(said) == len(found) == 2 + 2 + 2 + 2 + 1 + 4
    assert min(found["seconds"]) > 0
    grown = [row for row in found.to_dict("records") if row["peak memory, GB"] > 0]
    assert [row["size"] for row in grown] == [
        "200 x 162, 8 features",
        "200 x 162, 16 features",
        "200 samples, 256 features, 120 classes, 10 epochs",
    ]
    compared = [row["x first form"] for row in found.to_dict("records") if not row["peak memory, GB"] > 0]
    assert compared[::2] == [1.0] * 5, "each pair is compared with the form that stands first"
    assert min(compared) > 0


def test_ours_passes_every_clip_through_the_encoder_once() -> None:
    encoder, data = evaluation_forms.network(4, out=16), evaluation_forms.clips(64, 16)
    passed: list[int] = []
    encoder.backbone.register_forward_hook(lambda module, given, made: passed.append(len(given[0])))
    config = linear.Config(evaluation.GENTLE, epochs=30, batch=32)
    forms = evaluation_forms.linear_forms(encoder, data, config, torch.device("cpu"))
    plain = forms[PLAIN]()
    assert sum(passed) == 30 * 64
    passed.clear()
    ours = forms[OURS]()
    assert sum(passed) == 64
    torch.testing.assert_close(ours.weight, plain.weight, rtol=1e-4, atol=1e-6)


def test_both_votes_are_the_same() -> None:
    forms = evaluation_forms.knn_forms(500, 100, 16, "cpu")
    plain, ours = forms[PLAIN](), forms[OURS]()
    assert plain.keys() == ours.keys() == {10, 20, 40}
    for k, scores in plain.items():
        torch.testing.assert_close(ours[k], scores, rtol=1e-4, atol=1e-5)
        assert torch.equal(ours[k].argmax(dim=1), scores.argmax(dim=1))


@pytest.mark.parametrize("what", ["linear_forms", "knn_forms"])
def test_forms_that_disagree_are_not_timed(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = getattr(evaluation, what)

    def wrong(*arguments):
        forms = honest(*arguments)
        seeded = torch.Generator().manual_seed(0)

        def broken():
            found = forms[OURS]()
            if isinstance(found, dict):
                return {k: scores * 1.01 for k, scores in found.items()}
            with torch.no_grad():
                found.weight.add_(torch.randn(found.weight.shape, generator=seeded))
            return found

        return forms | {OURS: broken}

    monkeypatch.setattr(evaluation, what, wrong)
    measure = evaluation.measure_linear if what == "linear_forms" else evaluation.measure_knn
    with pytest.raises(ValueError, match="disagree; no time means anything"):
        measure(SMOKE, "cpu")


def test_the_command_line_gives_the_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Sizes] = []
    monkeypatch.setattr(evaluation, "profile", lambda sizes, *_: seen.append(sizes) or tmp_path)
    for words in ([], ["--samples", "300", "--steps", "2"], ["--scale", "smoke"]):
        pages = registry.measure(bench.parser().parse_args(["profile", "protocols", *words]), "cpu", print)
        assert list(pages) == [tmp_path]
    assert seen == [Sizes(), Sizes(samples=300, rounds=2), SMOKE]
