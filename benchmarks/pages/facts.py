"""What is true of a table's runs: sizes, checkpoint, accuracy, k. Said once, and rows that differ are named.

Why it is read from the runs and not from the recipe: the header must describe what the numbers were made
with, and under one recipe a row may still come from another (Table 1's "Baseline" is the released code).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from typing import Any

from benchmarks.pages.outcomes import Outcome, Records
from benchmarks.runs import Evaluate, Fuse, Pretrain, Raw, Run, closure
from protocols import finetune, semi

CHECKPOINT = {
    "best-knn": "`best-knn`, the one with the best KNN accuracy on the test set, as the paper does",
    "last": "`last`, the one after the last epoch",
}
DEFAULTS = {"bodies": "first-two", "frame_base": "one", "missing_list": None}  # of `data prepare`
REPORT = {
    "last": "`last`, of the last of {} epochs",
    "best": "`best`, of the one of {} epochs that does best on the test set, as the released code reports",
}


def facts(found: list[Outcome]) -> dict[str, str]:
    """Heading -> sentence, for everything that at least one row has; "Runs" is always there."""
    sentences = {
        "Backbone": _sentence(found, _backbone),
        "Training": _sentence(found, _size),
        "Checkpoint": _sentence(found, _checkpoint),
        "Finetuning": _sentence(found, _finetuning),
        "Accuracy": _sentence(found, _report),
        "KNN": _sentence(found, _neighbours),
    }
    sentences = {name: text for name, text in sentences.items() if text}
    by_row: dict[str, list[str]] = {}
    for outcome in found:
        if outcome.cell.seeds:
            by_row.setdefault(outcome.cell.row, []).append(f"n = {len(outcome.cell.seeds)}")
    sentences["Runs"] = _by_row(by_row) or "n = 0"
    return sentences


def labels(found: list[Outcome], records: Records) -> str:
    """How many labels semi-supervised runs had, and how many classes had none at all; "" where there are no such runs.

    One seed's draw differs from another's in which sequences, never in how many.
    """
    said: dict[str, dict[str, None]] = {}
    for outcome in found:
        for run in _evaluations(outcome.cell.seeds):
            if not isinstance(run.config, semi.Config):
                continue
            metrics = (records.get(run.id) or {}).get("metrics", {})
            share = said.setdefault(f"{100 * run.config.share:g} % of every class (draw `{run.config.draw}`)", {})
            if "labelled" in metrics:
                without = int(metrics["classes_without"])
                none = f", **{without} classes without any**" if without else ""
                share[f"{metrics['labelled']:.0f} sequences of {run.data.name} {run.data.split}{none}"] = None
    return "; ".join(f"{share}: {', '.join(texts)}" if texts else share for share, texts in said.items())


def preparation(found: list[Outcome], records: Records) -> str:
    """How the data sets of the measured runs were prepared, where that is not the default way; "" if all were.

    A table of half a data set, or of other bodies than the paper's, must not look like the paper's.
    """
    said: dict[str, None] = {}
    for outcome in found:
        for run in _evaluations(outcome.cell.seeds):
            data = (records.get(run.id) or {}).get("data") or {}
            source = data.get("source", {})
            words = [source["kind"]] if source.get("imported") else []
            words += [
                f"{key.replace('_', ' ')} {source[key]}"
                for key in DEFAULTS
                if source.get(key, DEFAULTS[key]) != DEFAULTS[key]
            ]
            words += [f"incomplete, {data['clips']} clips"] if source.get("partial") else []
            words += [f"{data['left_out']} recordings left out"] if data.get("left_out") else []
            if words:
                said[f"{run.data.name}: {', '.join(words)}"] = None
    return "; ".join(said)


def mixture(found: list[Outcome], records: Records) -> dict[str, str]:
    """Heading -> sentence for code, devices and rounding that differ between a table's runs; nothing where all agree.

    Every run behind a cell counts once: what stands there, its members and the encoder that it judges.
    """
    behind: dict[str, Run] = {}
    for outcome in found:
        for run in outcome.cell.seeds:
            behind |= {step.id: step for step in closure(run)}
    there = {run_id: record for run_id in behind if (record := records.get(run_id, {})).get("status") == "ok"}
    trained = [record for run_id, record in there.items() if _trains(behind[run_id])]
    said = {}
    for heading, name, asked in (
        ("Code", _version, there.values()),
        ("Devices", _device, there.values()),
        ("Rounding", _rounding, trained),
    ):
        counts = Counter(text for record in asked if (text := name(record)))
        if len(counts) > 1:
            parts = ", ".join(f"{text} {count}" for text, count in sorted(counts.items(), key=lambda c: (-c[1], c[0])))
            changed = " (`+`: with uncommitted changes)" if "+`" in parts else ""
            said[heading] = f"**mixed**, number of runs{changed}: {parts}"
        elif heading == "Rounding" and counts and "float32" not in counts:
            said[heading] = f"trainings in {next(iter(counts))}, not in float32"
    if count := sum("again" in record for record in there.values()):
        said["Trained again"] = (
            f"{count} {'runs judge' if count > 1 else 'run judges'} what was computed again, with other numbers than "
            "its record has; `again.json` in its folder has both"
        )
    return said


def _version(record: dict[str, Any]) -> str | None:
    """The commit, or the sources where there is none; "+" when the checkout differed from it."""
    code = record.get("code") or {}
    name = code.get("commit") or code.get("sources")
    return f"`{name[:7]}{'+' if code.get('dirty') else ''}`" if name else None


def _device(record: dict[str, Any]) -> str | None:
    return record.get("environment", {}).get("device")


def _rounding(record: dict[str, Any]) -> str:
    """How a training rounded; records that say nothing are older than the choice."""
    amp = record.get("environment", {}).get("amp") or "off"
    return "float32" if amp == "off" else amp


def _trains(run: Run) -> bool:
    """Whether weights of an encoder change: only then does it matter how the machine rounds."""
    return isinstance(run, Pretrain) or (isinstance(run, Evaluate) and _tuning(run) is not None)


def _backbone(run: Evaluate) -> str | None:
    if isinstance(run.encoder, Raw):
        return None
    config = run.encoder.backbone_config
    settings = (f"{f.name.replace('_', ' ')} {_shown(getattr(config, f.name))}" for f in fields(config))
    return f"{run.encoder.backbone} ({', '.join(settings)})"


def _shown(value: Any) -> str:
    """A setting in few characters; tuples of tuples as 64-128-32-2 64-64-16-1."""
    if isinstance(value, tuple):
        return (" " if isinstance(value[0], tuple) else "-").join(_shown(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _size(run: Evaluate) -> str | None:
    encoder = run.encoder
    if not isinstance(encoder, Pretrain):
        return None
    epochs = f"{encoder.epochs} epoch" + "s" * (encoder.epochs != 1)
    init = getattr(encoder.config, "init", "its own")
    return (
        f"initial weights `{init}`, {encoder.data.frames} frames, batch {encoder.batch}, {epochs} from learning rate "
        f"{encoder.sgd.lr:g}"
    )


def _checkpoint(run: Evaluate) -> str | None:
    return CHECKPOINT[run.select] if isinstance(run.encoder, Pretrain) else None


def _tuning(run: Evaluate) -> finetune.Config | None:
    """The finetuning of a run, whether of all labels or of a share."""
    config = getattr(run.config, "finetune", run.config)
    return config if isinstance(config, finetune.Config) else None


def _finetuning(run: Evaluate) -> str | None:
    config = _tuning(run)
    if config is None:
        return None
    drops = f"when the loss has not fallen for {config.patience} epochs"
    if config.schedule == "milestones":
        drops = f"after {', '.join(map(str, config.sgd.milestones))} epochs"
    warmup = f", warm-up {config.warmup} epochs" if config.warmup else ""
    norms = {"frozen": "keeps the statistics of pretraining", "batch": "follows the batches"}[config.batchnorm]
    return f"learning rate {config.sgd.lr:g}{warmup}, lower {drops}, batch {config.batch}, BatchNorm {norms}"


def _report(run: Evaluate) -> str | None:
    config = _tuning(run) or run.config
    report = getattr(config, "report", None)
    if report is None:
        return None
    return f"{run.protocol} {REPORT[report].format(config.epochs)}"


def _neighbours(run: Evaluate) -> str | None:
    if run.protocol != "knn":
        return None
    return f"k = {run.config.k}, cosine similarity, {run.config.features} features"


def _sentence(found: list[Outcome], fact: Callable[[Evaluate], str | None]) -> str:
    by_row: dict[str, list[str]] = {}
    for outcome in found:
        for run in _evaluations(outcome.cell.seeds):
            text = fact(run)
            if text is not None:
                by_row.setdefault(outcome.cell.row, []).append(text)
    return _by_row(by_row)


def _evaluations(runs: Iterable[Run]) -> Iterator[Evaluate]:
    for run in runs:
        if isinstance(run, Evaluate):
            yield run
        elif isinstance(run, Fuse):
            yield from run.members


def _by_row(by_row: dict[str, list[str]]) -> str:
    """The fact that most rows share, then the rows that differ."""
    rows = {row: " and ".join(dict.fromkeys(texts)) for row, texts in by_row.items()}
    if not rows:
        return ""
    said = list(rows.values())
    usual = max(dict.fromkeys(said), key=said.count)
    others: dict[str, list[str]] = {}
    for row, text in rows.items():
        if text != usual:
            others.setdefault(text, []).append(row)
    return "; ".join([usual, *(f"{_named(group, rows)}: {text}" for text, group in others.items())])


def _named(group: list[str], rows: Iterable[str]) -> str:
    """The rows of a group; the first label alone where it says the same."""
    names: dict[str, None] = {}
    for row in group:
        first = row.split("/")[0]
        whole = all(other in group for other in rows if other.split("/")[0] == first)
        names[first if whole else row] = None
    return ", ".join(names)
