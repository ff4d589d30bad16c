"""Pictures of what is measured, as PNG and SVG: a function of the records (and, for two of them, of data and encoders).

Adding a picture: one file with `draw`, one entry in FIGURES, one word in benchmarks/arguments.py.
"""

from __future__ import annotations

from benchmarks.datasets import catalog
from benchmarks.figures import attention, classes, curves, dots, skeletons, tsne
from benchmarks.figures.base import Absent, Drawing, FigureSpec

_STREAMS = ("joint", "bone", "motion")
_PLANES = {
    "5": ("figure-5", "Figure 5: t-SNE, cross-subject", tsne.Plane("ntu60", "xsub", _STREAMS)),
    "6": ("figure-6", "Figure 6: t-SNE, cross-view", tsne.Plane("ntu60", "xview", _STREAMS)),
    "tsne-irds": ("tsne-irds", "t-SNE on IRDS", tsne.Plane("irds", "xsub", ("joint",))),
}

FIGURES: dict[str, FigureSpec] = {
    spec.id: spec
    for spec in (
        FigureSpec(
            id="skeletons",
            title="Skeletons over time",
            about="Clips of the stand-in and of every prepared data set as stick figures.",
            names=("skeletons-stand-in", *(f"skeletons-{name}" for name in catalog.DATASETS)),
            draw=skeletons.draw_all,
        ),
        *(
            FigureSpec(
                id=key,
                title=title,
                about="SkeAttnCLR's and SkeletonCLR's embeddings as t-SNE planes, with silhouette and 1-NN accuracy.",
                names=(name,),
                draw=tsne.drawer(name, what),
                needs=what.runs,
            )
            for key, (name, title, what) in _PLANES.items()
        ),
        FigureSpec(
            id="knn",
            title="KNN accuracy during pretraining",
            about="KNN accuracy over the epochs, one line for every method in a table.",
            names=("knn",),
            draw=curves.draw,
            needs=curves.runs,
            table="irds",
        ),
        FigureSpec(
            id="dots",
            title="A table as a dot plot",
            about="Every cell of a table as a dot with its spread over seeds, beside the paper's number.",
            names=("dots",),
            draw=dots.draw,
            needs=dots.runs,
            table="irds",
        ),
        FigureSpec(
            id="per-class",
            title="Accuracy by class",
            about="How much better SkeAttnCLR is than SkeletonCLR, or any run than another, at every class.",
            names=("per-class",),
            draw=classes.draw,
            needs=classes.runs,
            table="irds",
        ),
        FigureSpec(
            id="attention",
            title="What SkeAttnCLR calls salient",
            about="The attention mask of a few samples, drawn on their joints over time.",
            names=("attention",),
            draw=attention.draw,
            needs=attention.runs,
            table="irds",
            folders=True,
        ),
    )
}

__all__ = ["FIGURES", "Absent", "Drawing", "FigureSpec"]
