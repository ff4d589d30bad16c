"""The words of the command line: every subcommand, its options, and an example of each.

Nothing but the standard library is imported, so that help and a slip of the finger are answered at once.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path
from typing import Any, NoReturn

from benchmarks import quantities
from benchmarks.exits import FAILED, OK, USAGE

TABLES = (*map(str, range(1, 19)), "irds")
FIGURES = ("skeletons", "5", "6", "tsne-irds", "knn", "dots", "per-class", "attention")
PROFILES = ("data", "gru", "kernels", "overhead", "protocols", "train")
AMPS = ("off", "tf32", "bf16")
KERNELS = ("auto", "triton", "sdpa", "reference")
SHELLS = ("bash", "zsh", "tcsh")
HERE = Path(__file__).resolve().parents[1]

ABOUT = "A benchmark of contrastive self-supervised skeleton action recognition."
# By command, "" for the program itself. tests/test_pages.py runs every line at smoke scale.
EXAMPLES: dict[str, tuple[str, ...]] = {
    "": (
        "bench.py --table 1                        # fill Table 1 and print it",
        "bench.py run --table 7 15 --scale smoke   # in seconds, to see that all works",
        "bench.py data prepare irds --raw PATH     # prepare a real data set",
        "bench.py plan --table all                 # what would run, what tables share",
        "bench.py run --help                       # options and examples of one command",
    ),
    "run": (
        "bench.py run --table 1",
        "bench.py run --table 7 15 --scale smoke --seeds 2",
        "bench.py run --table 1 --scale full --slurm cluster.toml",
        "bench.py run --method skeattnclr --dataset irds --stream bone --set lam=4",
        "bench.py run --method skeattnclr --protocol semi --share 0.01",
    ),
    "plan": (
        "bench.py plan --table 3",
        "bench.py plan --table all --seeds 10 --gpus 8 64",
    ),
    "status": ("bench.py status --table 1", "bench.py status --table all --scale full --all"),
    "show": ("bench.py show evaluate-0083e4",),
    "render": (
        "bench.py render --table 1",
        "bench.py render --table all --seeds 3 --scale full --check",
    ),
    "figure": (
        "bench.py figure skeletons",
        "bench.py figure dots --table irds --seeds 3 --no-run",
        "bench.py figure per-class RUN RUN",
    ),
    "data": (
        "bench.py data list",
        "bench.py data prepare irds --raw PATH/TO/FOLDER_OR_ARCHIVE",
        "bench.py data prepare ntu60 --raw ntu60_3danno.pkl --frames 64 50",
        "bench.py data check irds",
    ),
    "profile": ("bench.py profile train", "bench.py profile kernels --seconds 300"),
    "doctor": ("bench.py doctor",),
    "completion": ("bench.py completion bash > ~/.local/share/bash-completion/completions/bench.py",),
}


class Parser(argparse.ArgumentParser):
    """argparse, with the nearest valid word in its errors."""

    def error(self, message: str) -> NoReturn:
        """Prints what was wrong, what is close, and where to look; exits with 2."""
        self.exit(USAGE, f"{self.prog}: {message}{_nearest(message)}\nSee: {self.prog} --help\n")


def _nearest(message: str) -> str:
    """For "invalid choice: 'x' (choose from a, b)": a did-you-mean, when something is near."""
    if "invalid choice: '" not in message:
        return ""
    got, _, rest = message.partition("invalid choice: '")[2].partition("'")
    choices = rest.partition("choose from ")[2].rstrip(")").replace("'", "").split(", ")
    if len(parts := got.split(",")) > 1:
        return f"\nWith spaces between: {' '.join(parts)}"
    near = difflib.get_close_matches(got.lower(), choices, n=1)
    return f"\nDid you mean {near[0]}?" if near and not got.isdigit() else ""  # 19 is no slip for 9


def understood(words: list[str]) -> argparse.Namespace:
    """The command line as a namespace; a wrong one ends the program with exit code 2 and a sentence."""
    top = parser()
    arguments, unknown = top.parse_known_args(words)
    if unknown:
        commands: dict[str, Parser] = next(a for a in top._actions if a.dest == "command").choices  # pyright: ignore[reportAssignmentType]  of add_subparsers
        options = {name: [*each._option_string_actions] for name, each in commands.items()}
        word = unknown[0].partition("=")[0]
        near = difflib.get_close_matches(word, options[arguments.command], n=1, cutoff=0.7)
        others = [name for name, theirs in options.items() if word in theirs]
        hint = f"\nIt belongs to {', '.join(others)}." if others else f"\nDid you mean {near[0]}?" if near else ""
        what = "option" if word.startswith("-") else "argument"
        commands[arguments.command].error(f"there is no {what} {word} here{hint}")
    return arguments


def parser() -> Parser:
    """The whole command line."""
    top = Parser("bench.py", description=ABOUT, epilog=_examples(""), formatter_class=argparse.RawTextHelpFormatter)
    commands = top.add_subparsers(dest="command", required=True, parser_class=Parser, metavar="COMMAND")

    def command(name: str, about: str, *parents: Parser) -> Parser:
        return commands.add_parser(
            name, help=about, description=f"{about[0].upper()}{about[1:]}.", parents=list(parents),
            epilog=_examples(name), formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip

    tables = _shared("--table", nargs="+", action="extend", choices=(*TABLES, "all"), metavar="T",
                     help=f"{', '.join(TABLES)} or all")  # fmt: skip
    change = _shared("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
                     help="change a setting of the methods or a size, e.g. lam=4 epochs=2 width=8")  # fmt: skip
    scale = _shared("--scale", choices=("auto", "smoke", "demo", "full"), default="auto",
                    help="full: the paper's sizes on real data; demo: minutes on synthetic stand-ins; smoke: seconds; "
                    "auto (default): full if a data set of the table is prepared, else demo")  # fmt: skip
    recipe = _shared("--recipe", choices=("paper", "official"), default="paper",
                     help="the paper's settings for every method (default), or each release's own")  # fmt: skip
    seeds = _shared("--seeds", type=quantities.seeds, default=1, metavar="N", help="seeds 0..N-1 (default 1)")
    data = _shared("--data", type=Path, default=HERE / "data", metavar="DIR", help="prepared data sets")
    out = _shared("--out", type=Path, default=HERE / "results", metavar="DIR", help="results")
    settings, machine = (change, scale, recipe, seeds, data, out), _machine()
    _run(command("run", "do what a table, or one run, still needs, and print it", tables, *settings, machine))
    _plan(command("plan", "what a table would run, what tables share, how long it takes", tables, *settings))
    status = command("status", "done, running, queued, failed and missing runs of a table", tables, *settings)
    status.add_argument("--all", action="store_true", help="a line for every run; else ten of each kind, and how many")
    show = command("show", "everything about one run", out)
    show.add_argument("run_id", metavar="RUN", help="a run id, or its beginning")
    render = command("render", "write tables from the records", tables, *settings)
    render.add_argument("--check", action="store_true", help="write no page; exit with 3 if one would change")
    _figure(command("figure", "do what a picture still needs, and draw it", *settings, machine))
    _data(command("data", "list, prepare or check data sets", recipe, data))
    _profile(command("profile", "measure how fast a part is on this machine", recipe, out))
    command("doctor", "is this machine ready, and what to do where it is not", data, out)
    completion = command("completion", "print a script that completes this command line in a shell")
    completion.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))
    return top


def completion(shell: str) -> int:
    """Prints the completion script for a shell, made by shtab; FAILED where shtab is not installed."""
    try:
        import shtab
    except ModuleNotFoundError:
        print("bench.py: completion needs the package shtab: pip install shtab", file=sys.stderr)
        return FAILED
    print(shtab.complete(parser(), shell))
    return OK


def _examples(command: str) -> str:
    return "\n".join(("examples:", *(f"  python {line}" for line in EXAMPLES[command])))


def _shared(*words: str, **options: Any) -> Parser:
    """One option that several commands have."""
    shared = Parser(add_help=False)
    shared.add_argument(*words, **options)
    return shared


def _machine() -> Parser:
    shared = Parser(add_help=False)
    group = shared.add_argument_group("where it is computed")
    group.add_argument("--jobs", type=quantities.positive, metavar="N",
                       help="worker processes (default: one per core, or per visible GPU)")  # fmt: skip
    group.add_argument("--device", default="auto", metavar="auto|cpu|cuda|cuda:N",
                       help="where to compute (default: on all visible GPUs, else on the CPU)")  # fmt: skip
    return shared


def _run(run: Parser) -> None:
    run.add_argument("--dry-run", action="store_true", help="say what would run, and stop")
    run.add_argument("--retry-failed", action="store_true", help="try failed runs again")
    one = run.add_argument_group("one run instead of a table")
    for name, about in (("method", "its name, as in methods/"), ("backbone", "stgcn (default), bigru, dsta"),
                        ("dataset", "ntu60 (default), ntu120, pku1, pku2, irds"), ("split", "default xsub"),
                        ("stream", "joint (default), bone, motion"),
                        ("protocol", "linear (default), knn, finetune, semi"),
                        ("on", "transfer: another data set to judge the encoder on")):  # fmt: skip
        one.add_argument(f"--{name}", metavar=name[0].upper(), help=about)
    one.add_argument("--share", type=quantities.share, metavar="P", help="semi: part of the labels (default 0.1)")
    how = run.add_argument_group("how it is computed (recorded, no part of a run's identity)")
    how.add_argument("--threads", type=quantities.positive, default=1, metavar="N",
                     help="threads of a worker on the CPU (default 1; other counts round differently): for one long "
                     "run on idle cores")  # fmt: skip
    how.add_argument("--kernel", choices=KERNELS, default="auto",
                     help="how SkeAttnCLR's mask is computed; all agree within rounding (default auto: what is fastest "
                     "here; triton: our kernels, on a GPU)")  # fmt: skip
    how.add_argument("--amp", choices=AMPS, default="off",
                     help="how a GPU (bf16: also a CPU) may round while it trains; evaluation always is float32 "
                     "(default off: float32 throughout)")  # fmt: skip
    how.add_argument("--compile", action="store_true", help="compile the backbones of trainings with torch.compile")
    how.add_argument("--slurm", type=Path, metavar="FILE", help="submit array jobs to Slurm; FILE says what they ask")


def _plan(plan: Parser) -> None:
    plan.add_argument("--all", action="store_true", help="a line for every shared run; else one per combination")
    plan.add_argument("--gpus", nargs="*", type=quantities.positive, metavar="N",
                      help="simulate Slurm on that many GPUs (default 1 8 64 512 1024), draw the schedule")  # fmt: skip
    cluster = plan.add_argument_group("the simulated cluster")
    cluster.add_argument("--profile", type=Path, metavar="FILE", help="CSV of `bench.py profile train` on such a GPU")
    cluster.add_argument("--array-parallelism", type=quantities.positive, metavar="N",
                         help="tasks of an array at once (no limit)")  # fmt: skip
    cluster.add_argument(
        "--max-array", type=quantities.positive, metavar="N", help="Slurm's MaxArraySize (default 1001)"
    )
    for name, about in (("preemptions", "how often a task is preempted on a GPU-day (default 0)"),
                        ("queue-delay", "seconds in the queue although a GPU is free (default 0)"),
                        ("startup", "seconds of a task before its first run begins (default 3)")):  # fmt: skip
        cluster.add_argument(f"--{name}", type=quantities.amount, metavar="X", help=about)


def _figure(figure: Parser) -> None:
    figure.add_argument("figure", choices=FIGURES, metavar="NAME", help=", ".join(FIGURES))
    figure.add_argument("run_ids", nargs="*", metavar="RUN", help="per-class: the two runs to compare")
    figure.add_argument("--table", choices=TABLES, metavar="T",
                        help="knn, dots, per-class, attention: whose runs (default irds)")  # fmt: skip
    figure.add_argument("--no-run", action="store_true", help="draw from what is there, and say what is missing")
    figure.add_argument("--retry-failed", action="store_true", help="try failed runs again")


def _data(data: Parser) -> None:
    data.add_argument("action", choices=("list", "prepare", "check"))
    data.add_argument("name", nargs="?", metavar="NAME", help="ntu60, ntu120, pku1, pku2, irds")
    data.add_argument("--raw", nargs="+", type=Path, default=[], metavar="PATH",
                      help="downloaded folders or archives, or one prepared file in circulation (pyskl pickle, CTR-GCN "
                      "npz, folder of CrosSCLR arrays)")  # fmt: skip
    data.add_argument("--frames", nargs="+", type=quantities.positive, metavar="T",
                      help="frames of a clip (default: the recipe's)")  # fmt: skip
    data.add_argument("--strict", action="store_true", help="stop at the first unusable file instead of leaving it out")
    data.add_argument("--partial", action="store_true", help="accept less than the complete data set")
    data.add_argument("--jobs", type=quantities.positive, metavar="N", help="worker processes (default: one per core)")
    data.add_argument("--bodies", choices=("first-two", "by-motion"),
                      help="NTU: which people are kept (default first-two, as the released code)")  # fmt: skip
    data.add_argument("--missing-list", type=Path, metavar="FILE", help="NTU: names to leave out (default: official)")
    data.add_argument("--names", type=Path, metavar="FILE", help="CTR-GCN npz: its skes_available_name.txt")
    data.add_argument("--frame-base", choices=("one", "zero"),
                      help="PKU: number of a video's first frame in the labels (default one)")  # fmt: skip


def _profile(profile: Parser) -> None:
    profile.add_argument("profile", choices=PROFILES, metavar="NAME", help=", ".join(PROFILES))
    profile.add_argument("--part", choices=("reading", "views", "step", "pairs"),
                         help="measure this alone: reading or views of data, step (SkeAttnCLR's against the plain one) "
                         "or pairs (of methods and backbones) of train (default: both)")  # fmt: skip
    profile.add_argument("--scale", choices=("smoke", "demo", "full"),
                         help="sizes of train, whose step is the same at demo and smoke, or of protocols, which has no "
                         "demo (default full)")  # fmt: skip
    profile.add_argument("--raw", type=Path, metavar="DIR", help="data: recorded .skeleton files (default: made here)")
    profile.add_argument("--files", type=quantities.positive, metavar="N", help="data: how many (default 2400)")
    profile.add_argument("--batch", type=quantities.positive, metavar="N",
                         help="samples of a step: train, in its pairs (default: the recipe's; 8 at scale full on a "
                         "CPU), gru (default 16)")  # fmt: skip
    profile.add_argument("--seconds", type=quantities.positive, metavar="S",
                         help="kernels: leave what is not measured by then (default 400)")  # fmt: skip
    profile.add_argument("--compare", nargs=2, type=Path, metavar="CSV",
                         help="kernels: measure nothing, compare two files that it wrote")  # fmt: skip
    profile.add_argument("--steps", type=quantities.positive, metavar="N",
                         help="train: of a round of its pairs (default 2; on a GPU 30), rounds of its step (5); of "
                         "gru (5), overhead, protocols (3), rounds")  # fmt: skip
    profile.add_argument("--samples", type=quantities.positive, metavar="N",
                         help="protocols: clips that train a linear classifier (default 2000)")  # fmt: skip
    profile.add_argument("--jobs", type=quantities.positive, metavar="N",
                         help="data, overhead: worker processes (default: one per core)")  # fmt: skip
    profile.add_argument("--device", default="auto", metavar="auto|cpu|cuda|cuda:N",
                         help="all but overhead and the reading of data: where to measure (default: on a GPU, else on "
                         "the CPU)")  # fmt: skip
