"""`bench.py figure`: runs what is needed once, draws from records, says what is missing; the mask on the skeleton."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import bench
from benchmarks.figures import FIGURES, attention
from benchmarks.recipes import Settings
from benchmarks.records.store import Store
from benchmarks.runs import closure
from methods.base import Encoder
from methods.mhsam import AttentionMask
from tests.benchmarks.figures.measured import check_words, pretend, words
from tests.protocols.small import method


def say(capsys: pytest.CaptureFixture[str], out: Path, *wanted: str) -> tuple[int, str]:
    """Runs `bench.py figure ...`; returns the exit code and everything it printed."""
    try:
        code = bench.main(["figure", *wanted, "--out", str(out), "--data", str(out / "data")])
    except SystemExit as leave:
        code = int(leave.code or 0)
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_a_plane_is_measured_once_and_drawn_from_its_records(tmp_path: Path, capsys) -> None:
    smoke = ("tsne-irds", "--scale", "smoke", "--jobs", "1")
    code, text = say(capsys, tmp_path, *smoke, "--no-run")
    assert code == bench.MISSING
    assert "2 of 2 runs behind this picture have no result" in text
    assert not list(tmp_path.rglob("*.png"))
    code, text = say(capsys, tmp_path, *smoke)
    assert code == 0, text
    assert "4 of 4 runs to do" in text
    files = sorted((tmp_path / "smoke" / "figures").iterdir())
    assert [file.name for file in files] == ["tsne-irds.png", "tsne-irds.svg"]
    before = [file.read_bytes() for file in files]
    store = Store(tmp_path / "smoke")
    for run in FIGURES["tsne-irds"].runs(Settings(scale="smoke")):
        record = store.record(run.id)
        assert record
        assert {len(point) for point in record["points"]} == {3}
        assert not (store.folder(run.id) / "scores.npz").exists()
        assert store.done(run, product=True)
    code, text = say(capsys, tmp_path, *smoke)
    assert code == 0
    assert "to do" not in text
    assert [file.read_bytes() for file in files] == before


def test_the_mask_is_kept_and_drawn_and_its_absence_explained(tmp_path: Path, capsys) -> None:
    smoke = ("attention", "--scale", "smoke", "--jobs", "1", "--table", "1")
    code, text = say(capsys, tmp_path, *smoke)
    assert code == 0, text
    assert "1 of 1 runs to do" in text
    assert (tmp_path / "smoke" / "figures" / "attention-1.svg").exists()
    [mask] = (tmp_path / "smoke" / "runs").rglob("attention-best-knn.safetensors")
    mask.unlink()
    code, text = say(capsys, tmp_path, *smoke)
    assert code == bench.MISSING
    assert "holds no attention mask" in text
    assert "Pretrain it again" in text
    for path in (*mask.parent.glob("encoder-*"), tmp_path / "smoke" / "figures" / "attention-1.svg"):
        path.unlink()
    code, text = say(capsys, tmp_path, *smoke)  # a fresh clone: a record and no encoders
    assert code == 0, text
    assert "1 of 1 runs to do" in text
    assert mask.exists()


def test_records_of_the_repository_are_drawn_without_data(tmp_path: Path, capsys) -> None:
    runs = FIGURES["dots"].runs(Settings())
    pretend(Store(tmp_path), [step for run in runs for step in closure(run)])
    code, text = say(capsys, tmp_path, "dots")
    assert code == 0, text
    assert (tmp_path / "figures" / "dots-irds.png").exists()
    (tmp_path / "records" / f"{runs[0].id}.json").unlink()
    code, text = say(capsys, tmp_path, "dots")
    assert code == bench.MISSING
    assert f"1 of {len(runs)} runs behind this picture have no result" in text
    assert "bench.py data prepare irds --raw PATH" in text
    assert "dots-irds.png" in text  # what is there is drawn


def test_two_runs_by_the_beginning_of_their_ids(tmp_path: Path, capsys) -> None:
    runs = FIGURES["per-class"].runs(Settings())
    pretend(Store(tmp_path), runs)
    one, two = (run.id for run in runs)
    code, text = say(capsys, tmp_path, "per-class", one[:14], two)
    assert code == 0, text
    assert f"per-class-{one[9:17]}-{two[9:17]}.png" in text


@pytest.mark.parametrize("name", ["5", "attention", "knn"])
def test_nothing_prepared_says_what_to_run(name: str, tmp_path: Path, capsys) -> None:
    code, text = say(capsys, tmp_path, name, "--scale", "full")
    assert code == bench.MISSING
    assert "bench.py data prepare" in text
    assert not list(tmp_path.rglob("*.png"))


def test_a_record_alone_draws_no_mask(tmp_path: Path, capsys) -> None:
    pretend(Store(tmp_path), FIGURES["attention"].runs(Settings()))
    code, text = say(capsys, tmp_path, "attention")
    assert code == bench.MISSING
    assert "bench.py data prepare irds" in text
    assert not list(tmp_path.glob("runs/*"))


def test_a_failed_run_is_named(tmp_path: Path, capsys) -> None:
    [first, second] = FIGURES["tsne-irds"].runs(Settings(scale="smoke"))
    store = Store(tmp_path / "smoke")
    pretend(store, [first])
    store.write_record({"run": second.id, "status": "failed", "error": "ValueError: too few"})
    code, text = say(capsys, tmp_path, "tsne-irds", "--scale", "smoke", "--no-run")
    assert code == bench.FAILED
    assert f"{second.id} failed" in text
    assert "ValueError: too few" in text


@pytest.mark.parametrize(
    ("wanted", "answer"),
    [
        (["dotz"], "Did you mean dots?"),
        (["5", "--table", "1"], "figure 5 is of no table; --table is for knn, dots, per-class, attention"),
        (["dots", "evaluate-1"], "figure dots takes no run ids"),
        (["per-class", "evaluate-1"], "wants two run ids"),
        (["per-class", "evaluate-1", "evaluate-2"], "no run evaluate-1"),
        (["dots", "--table", "8", "--scale", "smoke"], "Unknown table '8'"),
        (["dots", "--set", "lamb=2"], "Did you mean 'lam'?"),
    ],
)
def test_wrong_words(wanted: list[str], answer: str, tmp_path: Path, capsys) -> None:
    code, text = say(capsys, tmp_path, *wanted)
    assert code == bench.USAGE
    assert answer in text


def test_a_token_stands_in_the_middle_of_its_frames() -> None:
    coarse = np.array([[[0.0, 1.0], [4.0, 5.0]]])  # one person, two tokens, two joints
    dense = attention.upsampled(coarse, 8)
    np.testing.assert_allclose(dense[0, :, 0], [0, 0, 0.5, 1.5, 2.5, 3.5, 4, 4])
    np.testing.assert_allclose(dense[0, :, 1], dense[0, :, 0] + 1)
    np.testing.assert_array_equal(attention.upsampled(dense, 8), dense)


def test_salience_is_the_mask_of_every_joint() -> None:
    model = method("skeattnclr").eval()
    mask = model.attention()
    assert isinstance(mask, AttentionMask)
    x = torch.randn(2, 3, 16, 25, 2, generator=torch.Generator().manual_seed(0))
    values = attention.salience(model.encoder(), mask, x)
    assert values.shape == (2, 2, 16, 25)
    with torch.no_grad():
        tokens = model.encoder()(x).tokens[1, 1]  # (T' * V, C): every person is a row of its own
        expected = mask(tokens[None]).mean(-1).view(4, 25)
    np.testing.assert_allclose(values[1, 1, [0, 15]], expected[[0, 3]], rtol=1e-4)  # ends are not interpolated


def test_a_backbone_without_a_grid_is_refused() -> None:
    class Sequence(torch.nn.Module):
        def grid(self, frames: int) -> None:
            return None

    encoder = Encoder(Sequence(), torch.nn.Identity())  # pyright: ignore[reportArgumentType]  a stand-in
    with pytest.raises(ValueError, match="Sequence has no"):
        attention.salience(encoder, torch.nn.Identity(), torch.zeros(1, 3, 4, 25, 1))


def test_words_of_the_mask_s_picture_are_apart() -> None:
    from benchmarks.figures import style
    from benchmarks.figures.skeletons import stand_in_page

    [run] = attention.runs(Settings(scale="demo"), "1")
    rows = list(stand_in_page().rows)[2:7:4]
    values = np.random.default_rng(0).uniform(0.4612, 0.4621, (2, 2, 32, 25))
    with style.settings():
        figure = attention.picture(Settings(scale="demo"), run, rows, values)  # pyright: ignore[reportArgumentType]  a run of the demo
    check_words(figure)
    assert "What SkeAttnCLR calls salient" in words(figure)
