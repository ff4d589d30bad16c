#!/usr/bin/env python3
"""The front door: parses the command line, calls benchmarks/commands.py, turns errors into sentences.

Nothing slow is imported before the command line is understood, so that help is instant.
"""

from __future__ import annotations

import argparse
import difflib
import gc
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import NoReturn

OK, USAGE, MISSING, FAILED, STOPPED = 0, 2, 3, 4, 130
TABLES = (*map(str, range(1, 19)), "irds")
FIGURES = ("skeletons", "5", "6", "tsne-irds", "knn", "dots", "per-class", "attention")
PROFILES = ("data", "gru", "kernels", "overhead", "protocols", "train")
AMPS = ("off", "tf32", "bf16")
KERNELS = ("auto", "triton", "sdpa", "reference")
MOST_SEEDS = 1000  # each is a campaign of its own; more is a slip of the finger
PATIENCE = 3.0  # seconds from SIGTERM or Ctrl-C to an end by force
GO_ON = "\nStopped. What is done is saved; run the same command to go on."
HERE = Path(__file__).resolve().parent
INSTALL = f"install what is needed with: cd {HERE} && pip install -e ."

EXAMPLES = """examples:
  python bench.py --table 1                         fill Table 1 and print it
  python bench.py run --table 7 15 --scale smoke    two tables in seconds, to see that all works
  python bench.py data prepare irds --raw DIR       prepare a real data set
  python bench.py plan --table all                  what would run, and what tables share
"""


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
    near = difflib.get_close_matches(got, choices, n=1)
    return f"\nDid you mean {near[0]}?" if near else ""


def parser() -> Parser:
    """The whole command line."""
    common = Parser(add_help=False)
    common.add_argument("--scale", choices=("auto", "smoke", "demo", "full"), default="auto",
                        help="full: the paper's sizes on real data; demo: minutes on synthetic stand-ins; smoke: "
                        "seconds; auto (default): full if a data set of the table is prepared, else demo")  # fmt: skip
    common.add_argument("--recipe", choices=("paper", "official"), default="paper",
                        help="the paper's settings for every method (default), or each release's own")  # fmt: skip
    common.add_argument("--seeds", type=_seeds, default=1, metavar="N", help="seeds 0..N-1 (default 1)")
    common.add_argument("--data", type=Path, default=HERE / "data", metavar="DIR", help="prepared data sets")
    common.add_argument("--out", type=Path, default=HERE / "results", metavar="DIR", help="results")

    change = Parser(add_help=False)
    change.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
                        help="change a setting of the methods or a size, e.g. lam=4 epochs=2 width=8")  # fmt: skip

    tables = Parser(add_help=False, parents=[change])
    tables.add_argument("--table", nargs="+", action="extend", choices=(*TABLES, "all"), metavar="T",
                        help=f"{', '.join(TABLES)} or all")  # fmt: skip

    machine = Parser(add_help=False)
    machine.add_argument("--jobs", type=_positive, metavar="N",
                         help="worker processes (default: one per core, or per visible GPU)")  # fmt: skip
    machine.add_argument("--device", default="auto", metavar="auto|cpu|cuda|cuda:N",
                         help="where to compute (default: on all visible GPUs, else on the CPU)")  # fmt: skip

    top = Parser("bench.py", description="A benchmark of contrastive self-supervised skeleton action recognition.",
                 epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    commands = top.add_subparsers(dest="command", required=True, parser_class=Parser, metavar="COMMAND")

    def command(name: str, about: str, *parents: Parser) -> Parser:
        return commands.add_parser(name, help=about, description=about, parents=list(parents))

    run = command("run", "do what a table, or one run, still needs, and print it", tables, common, machine)
    run.add_argument("--slurm", type=Path, metavar="FILE",
                     help="submit array jobs to Slurm; FILE says what they ask for")  # fmt: skip
    run.add_argument("--dry-run", action="store_true", help="say what would run, and stop")
    run.add_argument("--retry-failed", action="store_true", help="try failed runs again")
    run.add_argument("--threads", type=_positive, default=1, metavar="N",
                     help="threads of a worker on the CPU (default 1; other counts round differently, so the record "
                     "says it): for one long run on idle cores")  # fmt: skip
    run.add_argument("--kernel", choices=KERNELS, default="auto",
                     help="how SkeAttnCLR's mask is computed; all agree within rounding (default auto: what is fastest "
                     "here; triton: our kernels, on a GPU)")  # fmt: skip
    run.add_argument("--amp", choices=AMPS, default="off",
                     help="how a GPU (bf16: also a CPU) may round while it trains; recorded, evaluation is float32 "
                     "always (default off: float32 throughout)")  # fmt: skip
    run.add_argument("--compile", action="store_true", help="compile the backbones of trainings with torch.compile")
    for name, about in (("method", "for one run instead of a table"), ("backbone", "default stgcn"),
                        ("dataset", "ntu60, ntu120, pku1, pku2, irds"), ("split", "default xsub"),
                        ("stream", "joint (default), bone, motion"),
                        ("protocol", "linear (default), knn, finetune, semi"),
                        ("on", "transfer: another data set to judge the encoder on")):  # fmt: skip
        run.add_argument(f"--{name}", metavar=name[0].upper(), help=about)
    run.add_argument("--share", type=_share, metavar="P", help="semi: part of the labels (default 0.1)")
    plan = command("plan", "what a table would run, what tables share, how long it takes on many GPUs", tables, common)
    plan.add_argument("--gpus", nargs="*", type=_positive, metavar="N",
                      help="simulate Slurm on that many GPUs (default 1 8 64 512 1024), draw the schedule")  # fmt: skip
    plan.add_argument("--profile", type=Path, metavar="FILE", help="CSV of `bench.py profile train` on such a GPU")
    plan.add_argument("--array-parallelism", type=_positive, metavar="N", help="tasks of an array at once (no limit)")
    plan.add_argument("--max-array", type=_positive, metavar="N", help="Slurm's MaxArraySize (default 1001)")
    for name, about in (("preemptions", "how often a task is preempted on a GPU-day (default 0)"),
                        ("queue-delay", "seconds in the queue although a GPU is free (default 0)"),
                        ("startup", "seconds of a task before its first run begins (default 3)")):  # fmt: skip
        plan.add_argument(f"--{name}", type=_amount, metavar="X", help=about)
    status = command("status", "done, running, failed and missing runs of a table", tables, common)
    status.add_argument("--all", action="store_true", help="a line for every run; else ten of each kind, and how many")
    show = command("show", "everything about one run", common)
    show.add_argument("run_id", metavar="RUN", help="a run id, or its beginning")
    render = command("render", "write tables from the records", tables, common)
    render.add_argument("--check", action="store_true", help="write no page; exit with 3 if one would change")
    figure = command("figure", "do what a picture still needs, and draw it", change, common, machine)
    figure.add_argument("figure", choices=FIGURES, metavar="NAME", help=", ".join(FIGURES))
    figure.add_argument("run_ids", nargs="*", metavar="RUN", help="per-class: the two runs to compare")
    figure.add_argument("--table", choices=TABLES, metavar="T",
                        help="knn, dots, per-class, attention: whose runs (default irds)")  # fmt: skip
    figure.add_argument("--no-run", action="store_true", help="draw from what is there, and say what is missing")
    figure.add_argument("--retry-failed", action="store_true", help="try failed runs again")
    data = command("data", "list, prepare or check data sets", common)
    data.add_argument("action", choices=("list", "prepare", "check"))
    data.add_argument("name", nargs="?", metavar="NAME", help="ntu60, ntu120, pku1, pku2, irds")
    data.add_argument("--raw", nargs="+", type=Path, default=[], metavar="PATH",
                      help="downloaded folders or archives, or one prepared file in circulation (pyskl pickle, CTR-GCN "
                      "npz, folder of CrosSCLR arrays)")  # fmt: skip
    data.add_argument(
        "--frames", nargs="+", type=_positive, metavar="T", help="frames of a clip (default: the recipe's)"
    )
    data.add_argument("--strict", action="store_true", help="stop at the first unusable file instead of leaving it out")
    data.add_argument("--partial", action="store_true", help="accept less than the complete data set")
    data.add_argument("--jobs", type=_positive, metavar="N", help="worker processes (default: one per core)")
    data.add_argument("--bodies", choices=("first-two", "by-motion"),
                      help="NTU: which people are kept (default first-two, as the released code)")  # fmt: skip
    data.add_argument("--missing-list", type=Path, metavar="FILE", help="NTU: names to leave out (default: official)")
    data.add_argument("--names", type=Path, metavar="FILE", help="CTR-GCN npz: its skes_available_name.txt")
    data.add_argument("--frame-base", choices=("one", "zero"),
                      help="PKU: number of a video's first frame in the labels (default one)")  # fmt: skip
    profile = command("profile", "measure how fast a part is on this machine", common, machine)
    profile.add_argument("profile", choices=PROFILES, metavar="NAME", help=", ".join(PROFILES))
    profile.add_argument("--part", choices=("reading", "views", "step", "pairs"),
                         help="measure this alone: reading or views of data, step (SkeAttnCLR's against the plain one) "
                         "or pairs (of methods and backbones) of train (default: both)")  # fmt: skip
    profile.add_argument("--raw", type=Path, metavar="DIR", help="data: recorded .skeleton files (default: made here)")
    profile.add_argument("--files", type=_positive, default=2400, metavar="N", help="data: how many (default 2400)")
    profile.add_argument("--batch", type=_positive, metavar="N",
                         help="train, gru: samples of a step (default: the recipe's; 8 and 16 on a CPU)")  # fmt: skip
    profile.add_argument("--seconds", type=_positive, metavar="S",
                         help="kernels: leave what is not measured by then (default 400)")  # fmt: skip
    profile.add_argument("--compare", nargs=2, type=Path, metavar="CSV",
                         help="kernels: measure nothing, compare two files that it wrote")  # fmt: skip
    profile.add_argument("--steps", type=_positive, metavar="N",
                         help="train: of a round (default 2); rounds of gru (5), overhead, protocols (3)")  # fmt: skip
    profile.add_argument("--samples", type=_positive, metavar="N",
                         help="protocols: clips that train a linear classifier (default 2000)")  # fmt: skip
    command("doctor", "check this machine and installation", common)
    return top


def _positive(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return value


def _seeds(text: str) -> int:
    value = _positive(text)
    if value > MOST_SEEDS:
        raise argparse.ArgumentTypeError(f"expected at most {MOST_SEEDS} seeds, got {text}")
    return value


def _amount(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number of at least 0, got {text!r}")
    return value


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"expected a part of 1, such as 0.01, got {text!r}")
    return value


def main(words: list[str] | None = None) -> int:
    """Runs one command; returns its exit code (0 all cells present, 2 usage, 3 cells missing, 4 cells failed)."""
    words = sys.argv[1:] if words is None else words
    if words and words[0].startswith("--") and words[0] != "--help":  # the user's own words: bench.py --table 1
        words = ["run", *words]
    arguments = parser().parse_args(words)
    try:
        return _dispatch(arguments)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def command() -> NoReturn:
    """Runs the command of this process, which leaves soon after SIGTERM or Ctrl-C, and ends the process."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    try:
        code = main()
        _deaf()
    except KeyboardInterrupt:
        sys.stdout.flush()
        _end()  # at once: Python's own end takes another code when a library had caught the interrupt before
    sys.exit(code)


def _stop(*_: int | FrameType | None) -> NoReturn:
    """Interrupts main; where a library swallows that, or something hangs, the process ends nevertheless."""
    _deaf()  # a second signal must not disturb the leaving
    timer = threading.Timer(PATIENCE, _end)
    timer.daemon = True
    timer.start()
    raise KeyboardInterrupt


def _end() -> NoReturn:
    print(GO_ON, file=sys.stderr, flush=True)
    os._exit(STOPPED)  # workers end with this process


def _deaf() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def _dispatch(arguments: argparse.Namespace) -> int:
    try:
        from benchmarks import commands  # slow: everything heavy is behind this line
    except ModuleNotFoundError as error:
        if not error.name or (HERE / error.name.partition(".")[0]).exists():
            raise
        print(f"bench.py: there is no package {error.name} for {sys.executable}; {INSTALL}", file=sys.stderr)
        return FAILED

    if not gc.isenabled():
        gc.freeze()
        gc.enable()
    try:
        return getattr(commands, arguments.command)(arguments)
    except commands.WRONG_WORDS as error:
        print(f"bench.py: {error}", file=sys.stderr)
        return USAGE
    except BrokenPipeError:
        raise
    except commands.EXPECTED as error:
        print(f"bench.py: {error}", file=sys.stderr)
        return FAILED


if __name__ in ("__main__", "__mp_main__"):  # until _dispatch, in a worker until workers.begin
    gc.disable()  # nothing that is imported is garbage: to look for some, now and at the end, takes a third of the time
if __name__ == "__mp_main__":
    from benchmarks.workers import end_with_parent

    end_with_parent()  # already now: the imports that come next take seconds
if __name__ == "__main__":
    command()
