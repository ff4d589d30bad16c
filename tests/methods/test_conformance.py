"""Every method on every backbone keeps the interface's promises; the registries name who is tested."""

from __future__ import annotations

import copy
import dataclasses
import re
from typing import Any

import pytest
import torch
from torch import Tensor

import backbones
import methods
from backbones import BACKBONES
from backbones.streams import STREAMS
from methods import METHODS, At, Method
from methods.moco import Queue
from tests.protocols.small import fitting

BATCH, FRAMES, CLASSES = 6, 32, 5
AT = At(epoch=0, step=1, steps=3, epochs=4)
LATER = At(epoch=3, step=2, steps=3, epochs=4)

# Small enough to run in a moment. Only the fields that a config has are taken.
SMALL_BACKBONE = {
    "width": 4,
    "out": 16,
    "hidden_size": 8,
    "layers": 2,
    "blocks": ((8, 8, 4, 1), (8, 16, 4, 2), (16, 16, 4, 2)),
}
SMALL_METHOD = {
    "dim": 8,
    "queue": 32,
    "heads": 4,
    "classes": CLASSES,
    "mix_parts": (2, 3),
    "mix_units": (1, 2),
    "mine_from": 2,  # AT is before, LATER after it
}
# "method" or "method/backbone" -> settings beyond those, for newcomers that need them.
SPECIAL: dict[str, dict[str, Any]] = {}

PAIRS = [(method, backbone) for method in METHODS for backbone in BACKBONES]
every_pair = pytest.mark.parametrize(("method", "backbone"), PAIRS)


def configs(method: str, backbone: str) -> tuple[Any, Any]:
    special = {**SPECIAL.get(method, {}), **SPECIAL.get(f"{method}/{backbone}", {})}
    return (
        fitting(METHODS[method].Config, {**SMALL_METHOD, **special}),
        fitting(BACKBONES[backbone].Config, {**SMALL_BACKBONE, **special}),
    )


def make(method: str, backbone: str, stream: str = "joint", seed: int = 0) -> Method:
    """The method around the backbone; skips, with the method's own reason, where it cannot train it."""
    method_config, backbone_config = configs(method, backbone)
    torch.manual_seed(seed)
    net = backbones.build(backbone, backbone_config)
    if reason := METHODS[method].unsupported(method_config, net, stream):
        pytest.skip(reason)
    return methods.build(method, method_config, net, stream).train()


def joints(seed: int = 5) -> Tensor:
    x = torch.randn(BATCH, 3, FRAMES, 25, 2, generator=torch.Generator().manual_seed(seed))
    x[1::2, ..., 1] = 0  # every other sample shows one person
    return x


def views_of(method: Method, seed: int = 0, x: Tensor | None = None) -> dict[str, Tensor]:
    x = joints() if x is None else x
    views = method.views(x, torch.Generator().manual_seed(seed))
    if method.NEEDS_LABELS:
        views["labels"] = torch.arange(BATCH, device=x.device) % CLASSES
    return views


def skeletons(views: dict[str, Tensor]) -> dict[str, Tensor]:
    """Views that are sequences: floating-point ones. Labels, donors, regions and masks are not."""
    return {name: view for name, view in views.items() if view.is_floating_point()}


def forward(method: Method, seed: int = 0, at: At = AT, x: Tensor | None = None) -> dict[str, Tensor]:
    method.before_step(at)
    return method.loss(views_of(method, seed, x), at)


def total(terms: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()


def train(method: Method, steps: int = 2, seed: int = 0) -> list[float]:
    """A few steps as the trainer does them; the value of every term at every step."""
    optimiser = torch.optim.SGD([p for p in method.parameters() if p.requires_grad], lr=0.1)
    torch.manual_seed(seed)  # dropout
    values = []
    for step in range(steps):
        at = AT._replace(step=step)
        optimiser.zero_grad()
        terms = forward(method, seed + step, at)
        total(terms).backward()
        optimiser.step()
        method.after_step(at)
        values += [float(term.detach()) for term in terms.values()]
    return values


def frozen(method: Method) -> dict[str, Tensor]:
    return {name: p for name, p in method.named_parameters() if not p.requires_grad}


@every_pair
def test_registries_name_complete_classes(method, backbone):
    for kind in (METHODS[method], BACKBONES[backbone]):
        assert isinstance(kind.REVISION, int)
        assert dataclasses.is_dataclass(kind.Config)
        config = kind.Config()  # every setting has a default
        first = dataclasses.fields(kind.Config)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(config, first, None)


@every_pair
def test_features_have_the_promised_shapes(method, backbone):
    net = make(method, backbone).encoder().backbone.eval()
    features = net(joints())
    batch, persons, tokens, width = features.tokens.shape
    assert (batch, width) == (BATCH, net.width)
    assert persons in (1, 2)
    assert features.pooled.shape == (BATCH, net.width)
    grid = net.grid(FRAMES)
    if grid is not None:
        assert tokens == grid[0] * grid[1]


@every_pair
@pytest.mark.parametrize("stream", STREAMS)
def test_terms_are_finite_named_scalars(method, backbone, stream):
    made = make(method, backbone, stream)
    views = views_of(made)
    assert all(view.shape == joints().shape for view in skeletons(views).values())
    for at in (AT, LATER):
        terms = forward(made, at=at)
        assert terms
        for name, term in terms.items():
            assert term.shape == (), name
            assert torch.isfinite(term), name


@every_pair
def test_stream_is_taken_of_the_augmented_joints(method, backbone):
    for stream in STREAMS:
        got, plain = (views_of(make(method, backbone, kind)) for kind in (stream, "joint"))
        assert got.keys() == plain.keys()
        for name, view in skeletons(got).items():
            own = name.rpartition(" ")[2]  # "query bone" is a bone stream whatever the method's stream
            kind = own if own in STREAMS else stream
            if kind == "motion":
                assert not view[:, :, -1].any(), "motion ends in zeros, whatever is mixed or masked before"
            if kind == "bone":
                assert not view[:, :, :, 20].any(), "the root has no bone"
            assert torch.equal(view, plain[name]) == (stream == "joint" or own in STREAMS)
        for name in got.keys() - skeletons(got).keys():
            assert torch.equal(got[name], plain[name])


@every_pair
def test_gradient_reaches_every_trained_layer_and_no_frozen_one(method, backbone):
    made = make(method, backbone)
    total(forward(made)).backward()
    reached: dict[str, bool] = {}
    for name, parameter in made.named_parameters():
        if not parameter.requires_grad:
            assert parameter.grad is None, name
            continue
        assert parameter.grad is not None, f"no gradient for {name}"
        assert torch.isfinite(parameter.grad).all(), name
        layer = name.rpartition(".")[0]
        reached[layer] = reached.get(layer, False) or bool(parameter.grad.any())
    assert all(reached.values()), [layer for layer, hit in reached.items() if not hit]


@every_pair
def test_the_encoder_for_evaluation_is_the_trained_one(method, backbone):
    made = make(method, backbone)
    trained = {id(p) for p in made.parameters() if p.requires_grad}
    assert all(id(p) in trained for p in made.encoder().parameters())


@every_pair
def test_momentum_copies_follow_slowly(method, backbone):
    made = make(method, backbone)
    before = {name: p.detach().clone() for name, p in made.named_parameters()}
    train(made, steps=3)
    moved = {name: float((p.detach() - before[name]).abs().max()) for name, p in made.named_parameters()}
    copies = frozen(made).keys()
    # A copy stands still only where its original does (what the pooled step of a bidirectional GRU does not see).
    still = [name for name in copies if not moved[name] and moved.get(name.replace("key.", "query.", 1), 1.0)]
    assert not still
    fastest = max(moved[name] for name in moved if name not in copies)
    assert all(moved[name] < 0.05 * fastest for name in copies)


@every_pair
def test_queues_advance_by_one_batch_per_step_and_only_after_it(method, backbone):
    made = make(method, backbone)
    queues = [module for module in made.modules() if isinstance(module, Queue)]
    before = [queue.keys.clone() for queue in queues]
    forward(made)
    assert all(torch.equal(queue.keys, old) for queue, old in zip(queues, before, strict=True))
    made.after_step(AT)
    for queue, old in zip(queues, before, strict=True):
        assert queue.position.item() == BATCH
        changed = (queue.keys != old).any(dim=0)
        assert changed.tolist() == [True] * BATCH + [False] * (queue.keys.shape[1] - BATCH)
        torch.testing.assert_close(queue.keys.norm(dim=0), torch.ones(queue.keys.shape[1]))


@every_pair
def test_state_dict_carries_everything(method, backbone):
    """Another instance, given the state, goes on with the very same numbers."""
    made, other = make(method, backbone, seed=0), make(method, backbone, seed=1)
    train(made)
    other.load_state_dict(copy.deepcopy(made.state_dict()), strict=True)
    assert train(made, seed=7) == train(other, seed=7)
    for name, tensor in made.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


@every_pair
def test_one_seed_one_result(method, backbone):
    runs = [train(make(method, backbone, seed=init), seed=views) for init, views in ((0, 0), (0, 0), (1, 0), (0, 5))]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert runs[0] != runs[3]


@every_pair
def test_views_come_from_the_generator_alone(method, backbone):
    made = make(method, backbone)
    torch.manual_seed(0)
    one = views_of(made, 0)
    torch.manual_seed(1)
    same, other = views_of(made, 0), views_of(made, 1)
    assert one.keys() == same.keys() == other.keys()
    names = list(skeletons(one))
    for name in names:
        assert torch.equal(one[name], same[name]), name
        assert not torch.isclose(one[name], other[name]).flatten(1).all(dim=1).any(), name
    for i, name in enumerate(names):
        assert not any(torch.equal(one[name], one[later]) for later in names[i + 1 :]), name


@every_pair
def test_embeddings_have_length_one(method, backbone):
    encoder = make(method, backbone).encoder().eval()
    with torch.no_grad():
        embedded = encoder.embed(encoder(joints()).pooled)
    assert embedded.shape[0] == BATCH
    torch.testing.assert_close(embedded.norm(dim=1), torch.ones(BATCH))


@every_pair
def test_building_refuses_with_the_reason_that_unsupported_gives(method, backbone):
    method_config, backbone_config = configs(method, backbone)
    net = backbones.build(backbone, backbone_config)
    reason = METHODS[method].unsupported(method_config, net, "joint")
    if reason is None:
        assert isinstance(methods.build(method, method_config, net, "joint"), METHODS[method])
    else:
        assert len(reason) > 10
        with pytest.raises(ValueError, match=re.escape(reason)):
            methods.build(method, method_config, net, "joint")


def test_configs_do_not_pass_for_each_other():
    net = backbones.build("stgcn", fitting(BACKBONES["stgcn"].Config, SMALL_BACKBONE))
    wrong = METHODS["skeletonclr"].Config()
    with pytest.raises(TypeError, match=r"skeattnclr needs a SkeAttnCLR\.Config, got Config"):
        methods.build("skeattnclr", wrong, net, "joint")
    with pytest.raises(TypeError, match=r"stgcn needs a STGCN\.Config, got Config"):
        backbones.build("stgcn", wrong)
    with pytest.raises(KeyError):
        methods.build("nothing", wrong, net, "joint")
    with pytest.raises(KeyError):
        backbones.build("nothing", wrong)
