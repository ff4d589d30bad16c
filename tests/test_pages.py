"""Pages are true: every command that they show runs, every worked example works, every link leads somewhere."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

import bench
from benchmarks.arguments import EXAMPLES, parser
from benchmarks.datasets import rules
from benchmarks.datasets.raw import ntu_names
from benchmarks.tables.table3 import JOINED
from benchmarks.throughput.skeleton_files import bodies_of, skeleton_text
from tests.benchmarks.datasets.imports import import_files
from tests.benchmarks.datasets.raw import ntu_files, pku_files
from tests.conftest import REPO
from tests.pages import FLOORS, PAGES, Shown, blocks, commands, run, shown, words_of, worked_example

COMMANDS = commands()
# Done by .ci/run in a fresh environment, or by a person once.
OTHERS = (
    "pip install ",
    "python3 -m venv ",
    "python -m pytest",
    "ruff ",
    "pyright",
    "cp ",
    "python -m tests.robustness.",
)
OF_EXAMPLES = {each.command for floor in FLOORS for each in shown(f"{floor}/README.md")}
OURS = [each for each in COMMANDS if words_of(each.command) is not None and each.command not in OF_EXAMPLES]
SUBMITTED = [each for each in OURS if "--slurm" in each.command]  # test_cluster.py gives these to a real Slurm
# Minutes of measuring in seconds; tests/benchmarks/throughput looks at what is measured.
SMALL = {
    "data": ["--files", "60"], "gru": ["--batch", "1", "--steps", "1"], "kernels": ["--seconds", "20"],
    "overhead": ["--steps", "1"], "protocols": ["--scale", "smoke"], "train": ["--steps", "1", "--scale", "smoke"],
}  # fmt: skip
INVENTED = {"PATH/TO/FOLDER_OR_ARCHIVE": "irds", "FOLDER_OR_ARCHIVE": "irds", "PATH": "irds", "FILE": "rates.csv"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a reader may have it, with downloads under the names that the pages use."""
    folder = tmp_path_factory.mktemp("reader")
    generator = np.random.default_rng(0)
    recorded = tuple(np.round(generator.normal(2, 0.3, (3, 12 + i, 25)), 6) for i in range(6))
    for data, archive in (("ntu60", "nturgbd_skeletons_s001_to_s017.zip"), ("ntu120", "s018_to_s032.zip")):
        with zipfile.ZipFile(folder / archive, "w") as pack:
            for name in ntu_files.some_names(data, 30):
                text = skeleton_text(bodies_of(ntu_files.clip_of(name, recorded)))
                pack.writestr(f"nturgb+d_skeletons/{name}.skeleton", text)
    (folder / "s001_to_s017.zip").hardlink_to(folder / "nturgbd_skeletons_s001_to_s017.zip")
    clips = {}
    for name in ntu_files.some_names("ntu60", 30):
        one = ntu_files.clip_of(name, recorded)[..., :1]
        clips[name] = np.concatenate([one, np.zeros_like(one)], axis=3)
    training = [name for name in clips if ntu_names.parse(name)["subject"] in rules.NTU60_TRAIN]
    order = {"train": training, "test": [name for name in clips if name not in training]}
    import_files.pyskl(folder / "ntu60_3danno.pkl", clips)
    import_files.ctrgcn(folder / "NTU60_CS.npz", clips, order, False, 60)
    import_files.crossclr(folder / "NTU60_frame50" / "xsub", clips, 50, set(training))
    pku_files.videos(folder / "PKUMMD", recorded, {"0002-L": 5, "0002-M": 4, "0291-R": 3, "0364-L": 1})
    (folder / "irds").mkdir()
    for number, subject in enumerate((101, 102, 103, 201, 202, 203)):
        lines = recorded[number].transpose(1, 2, 0).reshape(-1, 75)
        np.savetxt(folder / "irds" / f"{subject}_18_{number % 3}_1_1_stand.txt", lines, "%.7g", ",")
    return folder


def adapted(words: list[str], place: Path) -> list[str]:
    """The same command at smoke scale, on what lies in `place`, with its results there."""
    words = ["run", *words] if words[0].startswith("--") else [*words]
    command, options = words[0], {word for word in words if word.startswith("--")}
    words = [INVENTED.get(word, word) for word in words]
    if command == "data":
        name = words[2] if len(words) > 2 else ""
        words += ["--partial"] if words[1] == "prepare" else []
        return [*words, "--data", str(place / f"data-{name}")]
    if command == "profile":
        return [*words, *SMALL[words[1]], "--out", str(place / "out")]
    if command == "completion" or (command == "show" and "RUN" not in words):  # of a record in the repository
        return words
    if command == "show":
        return [*words, "--out", str(place / "out")]
    if command == "doctor":
        return [*words, "--out", str(place / "out"), "--data", str(place / "data")]
    trains = command == "run" or (command == "figure" and "--no-run" not in options)
    if trains and "--scale" in options:
        words[words.index("--scale") + 1] = "smoke"
    elif "--scale" not in options:
        words += ["--scale", "smoke"]
    return [*words, "--out", str(place / "out"), "--data", str(place / "data")]


def slow(each: Shown) -> object:
    """Measurements, and tables that take more than some seconds at smoke scale, are for the nightly run."""
    words = words_of(each.command) or []
    trains = words[0] in ("run", "figure", "--table", "profile")
    long = trains and not {"--method", "--no-run", "--help", "skeletons", "--kernel"} & set(words)
    marks = [pytest.mark.nightly] if long else []
    return pytest.param(each, id=each.command, marks=marks)


@pytest.mark.parametrize("each", [each for each in OURS if "--help" not in each.command], ids=lambda each: each.command)
def test_the_command_line_understands(each: Shown) -> None:
    words = words_of(each.command) or []
    parser().parse_args(words if not words[0].startswith("--") else ["run", *words])


def test_other_programs_are_run_elsewhere() -> None:
    """Every command is either ours, and run below, or of a program that .ci/run starts or a person does once."""
    others = [each for each in COMMANDS if words_of(each.command) is None]
    assert [each for each in others if not each.command.startswith(OTHERS)] == []
    ci = (REPO / ".ci" / "run").read_text()
    for words in (
        "pip install -q -e . && python bench.py --table 1",
        "pip install -q -e '.[test]' && python -m pytest -n 2",
    ):
        assert words in ci
        assert words.replace("-q ", "") in (REPO / "README.md").read_text()


@pytest.mark.parametrize("each", [slow(each) for each in OURS if each not in SUBMITTED])
def test_every_command_runs(
    each: Shown, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """0, or 3 where data or records that nobody has are missing; never wrong words, never a failure."""
    monkeypatch.chdir(place)
    words = adapted(words_of(each.command) or [], place)
    if "RUN" in words:  # two of them, as somebody would copy them from `status`
        ids = sorted(path.stem for path in (place / "out" / "smoke" / "records").glob("evaluate-*.json"))
        if not ids:
            bench.main(["run", "--table", "7", "--scale", "smoke", "--out", str(place / "out")])
            ids = sorted(path.stem for path in (place / "out" / "smoke" / "records").glob("evaluate-*.json"))
        words = [ids.pop() if word == "RUN" else word for word in words]
    try:
        code = bench.main(words)
    except SystemExit as leave:  # of --help
        code = int(leave.code or 0)
    said = capsys.readouterr()
    assert code in (bench.OK, bench.MISSING), f"{each.page}: {words}\n{said.out[-2000:]}{said.err[-2000:]}"
    assert "Traceback" not in said.out + said.err


@pytest.mark.nightly
@pytest.mark.parametrize("each", [each for each in COMMANDS if each.command.startswith("python -m tests.")])
def test_the_long_forms_understand_their_words(each: Shown) -> None:
    run(REPO, *each.command.split()[1:], "--help")


@pytest.mark.parametrize(
    "floor", [pytest.param(floor, marks=[] if floor == "methods" else [pytest.mark.nightly]) for floor in FLOORS]
)
def test_the_worked_example_of_a_floor_works(floor: str, tmp_path: Path) -> None:
    """Its file and its patch, in a copy; then every command of the page as it stands, at smoke scale."""
    if JOINED:
        pytest.skip(f"the patch is for a checkout without {', '.join(JOINED)}")
    checkout = worked_example(floor, tmp_path)
    page = f"{floor}/README.md"
    lines = len(blocks(page, "python")[0].splitlines()) + blocks(page, "diff")[0].count("\n+")
    assert lines < 100, "adding something is short"
    done = [each.command.split() for block in blocks(page, "sh") for each in shown(page) if each.command in block]
    assert done
    for words in done:
        assert words[0] == "python"
        smoke = ["--scale", "smoke"] if words[1] == "bench.py" and "smoke" not in words else []
        text = run(checkout, *words[1:], *smoke)
        if "pytest" in words:
            assert re.search(r"\d\d passed", text)
        elif floor == "methods" and "--table" in words:
            (row,) = [line for line in text.splitlines() if line.startswith("| skeletonbyol")]
            assert len(re.findall(r" \d+\.\d ", row)) == 4


def test_the_page_of_methods_lists_every_method() -> None:
    text = (REPO / "methods" / "README.md").read_text()
    for path in sorted((REPO / "methods").glob("*.py")):
        if path.stem in JOINED:
            continue
        if "(Method)" in path.read_text() or "(SkeletonCLR)" in path.read_text():
            assert f"]({path.name})" in text


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = (REPO / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if "://" not in target:
            assert ((REPO / page).parent / target).exists(), target
    for path in re.findall(r"`((?:backbones|methods|protocols|benchmarks|tests)/[\w/.-]+\.(?:py|toml|md))`", text):
        assert (REPO / path).exists() or path in _made_up(), path


def _made_up() -> set[str]:
    """Files that a worked example tells the reader to write."""
    texts = ((REPO / floor / "README.md").read_text(encoding="utf-8") for floor in FLOORS)
    return {path for text in texts for path in re.findall(r"`(\S+\.py)`:\n\n```python", text)}


def test_every_command_of_the_command_line_has_an_example() -> None:
    text = parser().format_help()
    assert set(EXAMPLES) - {""} == set(re.findall(r"^    (\w+)", text, re.MULTILINE)) - {"COMMAND"}
