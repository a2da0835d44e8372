"""Buffers that stop being finite while the loss stays so: they are noticed, and named with the batch, and put back."""

import math

import pytest
import torch
from tests.unit.callbacks.find_nan.test_afterwards import Skips
from tests.unit.callbacks.find_nan.trainings import SICK, Middle, batches, find, is_finite, loop, mean_square, state_of
from torch import nn

import onlooker as ol
from onlooker.callbacks import FindNaN

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*is NaN:onlooker.OnlookerWarning")]

INF, NAN = math.inf, math.nan


class Aside(nn.Module):
    """A branch with batch norm, of which the loss sees nothing that is not finite."""

    def __init__(self, spoil, norm=None):
        super().__init__()
        self.first, self.middle, self.norm = nn.Linear(4, 8), Middle(spoil), norm or nn.BatchNorm1d(8)
        self.last = nn.Linear(8, 1)

    def forward(self, x):
        hidden = self.first(x)
        beside = self.norm(self.middle(hidden.detach())).detach()
        return self.last(hidden) + 0.1 * torch.nan_to_num(beside, 0, 0, 0).clamp(-1, 1).mean()


@pytest.mark.parametrize("steps_back", [50, 4, 1])
def test_a_bad_batch_in_training_mode(steps_back):
    """The operation is named that made the NaN, and noticed are the buffers."""
    find_nan = FindNaN(steps_back=steps_back)
    model, _, losses = loop([find_nan], make_model=Aside, spoil=lambda x: torch.log(x * 0 - 1))
    finding = find_nan.finding
    assert all(map(math.isfinite, losses))
    assert (finding.phase, finding.module, finding.operation) == ("forward", "middle", "log")
    assert (finding.epoch, finding.batch, finding.parameter, finding.is_exact) == (0, SICK, "", True)
    assert finding.noticed == "NaN or infinities in buffers: norm.running_mean, norm.running_var"
    assert is_finite(model)


def test_a_bad_batch_that_the_body_skips():
    """It sees the loss, and goes on with the next batch; the running statistics have it all the same."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
    optimizer, find_nan = torch.optim.SGD(model.parameters(), lr=0.01), FindNaN()
    data = batches()
    data[SICK][0][3, 2] = NAN
    with ol.Loop(model, optimizer, callbacks=[find_nan]) as course:
        for _ in course.epochs(2):
            for x, y in course.train(data):
                loss = mean_square(model(x), y)
                if not torch.isfinite(loss):
                    continue
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                course.log(loss=loss)
    finding = find_nan.finding
    assert (finding.phase, finding.epoch, finding.batch) == ("data", 0, SICK)
    assert finding.noticed == "NaN or infinities in buffers: 1.running_mean, 1.running_var"
    assert is_finite(model)


NORMS = {
    "batch norm": lambda: nn.BatchNorm1d(8),
    "batch norm in 2d": lambda: nn.Sequential(nn.Unflatten(1, (8, 1, 1)), nn.BatchNorm2d(8), nn.Flatten()),
    "cumulative": lambda: nn.BatchNorm1d(8, momentum=None),
    "instance norm": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 4)), nn.InstanceNorm1d(2, track_running_stats=True), nn.Flatten()
    ),
}


@pytest.mark.parametrize("name", NORMS)
def test_a_variance_that_is_too_large(name):
    norm = NORMS[name]()
    finding = find(make_model=lambda spoil: Aside(spoil, norm), spoil=lambda x: x * 1e25)
    own = "norm.1" if isinstance(norm, nn.Sequential) else "norm"
    assert (finding.phase, finding.module, finding.batch) == ("forward", own, SICK)
    assert (finding.operation, finding.parameter) == ("native_batch_norm", f"{own}.running_var")
    assert finding.headline() == (
        f"'{own}.running_var' stopped being finite in the forward pass of module '{own}', "
        f"in the operation native_batch_norm, at batch {SICK} of epoch 0"
    )
    if name != "instance norm":
        assert "the running statistics are beyond what float32 can hold (3.4e+38)" in finding.why


def test_a_variance_that_is_too_large_for_halves():
    class Halves(nn.Module):
        def __init__(self, spoil):
            super().__init__()
            self.first, self.norm, self.last = nn.Linear(4, 8), nn.BatchNorm1d(8, affine=False).half(), nn.Linear(8, 1)
            self.middle = Middle(spoil)

        def forward(self, x):
            return self.last(self.norm(self.middle(self.first(x)).half()).float())

    finding = find(make_model=Halves, spoil=lambda x: x * 3000)
    assert (finding.parameter, finding.batch, finding.step) == ("norm.running_var", SICK, SICK)
    assert "beyond what float16 can hold (6.55e+04)" in finding.why
    assert "1 infinite" in str(finding) or "infinite of 8 (8 float16)" in str(finding)


def test_a_momentum_that_is_none():
    """The statistics grow from batch to batch, until they overflow; the loss never shows it."""
    data = batches(60)
    find_nan = FindNaN(steps_back=7)
    loop([find_nan], make_model=lambda spoil: Aside(spoil, nn.BatchNorm1d(8, momentum=9.0)), data=data)
    finding = find_nan.finding
    assert finding.parameter in ("norm.running_var", "norm.running_mean")
    assert finding.why.startswith("the momentum is 9: beyond 0 to 1")
    model = find_nan.run.model
    model(finding.data[0])
    assert not is_finite(model), "the batch does it"


class Remembers(nn.Module):
    """A running mean of its own, which is bound anew with each batch."""

    def __init__(self, spoil, is_in_place=False):
        super().__init__()
        self.register_buffer("mean", torch.zeros(8))
        self.spoil, self.is_in_place = spoil, is_in_place

    def forward(self, x):
        x = x if self.spoil is None or not Middle.is_on else self.spoil(x)
        if self.is_in_place:
            self.mean.mul_(0.9).add_(x.mean(0), alpha=0.1)
        else:
            self.mean = 0.9 * self.mean + 0.1 * x.mean(0)
        return x


@pytest.mark.parametrize("is_in_place", [True, False])
@pytest.mark.parametrize("spoil", [lambda x: torch.log(x * 0), lambda x: x - 2e38], ids=["log", "overflow"])
def test_a_buffer_of_ones_own(spoil, is_in_place):
    """`-inf` too, where it is no mask."""
    find_nan = FindNaN(then="restore", steps_back=4)
    model, *_ = loop([find_nan], make_model=lambda _: Aside(None, Remembers(spoil, is_in_place)))
    (finding,) = find_nan.findings
    assert (finding.phase, finding.module, finding.batch) == ("forward", "norm", SICK)
    assert (finding.parameter, finding.is_exact) == ("norm.mean", True)
    assert is_finite(model)


def test_restored_it_goes_on_as_if_the_batch_had_not_been():
    def make(_):
        return Aside(None, nn.Sequential(Remembers(lambda x: torch.sqrt(x - 99)), nn.BatchNorm1d(8)))

    ends = [state_of(*loop([one], make_model=make)[:2]) for one in (FindNaN(then="restore", steps_back=1), Skips())]
    assert all(map(torch.equal, *ends))
    assert all(bool(torch.isfinite(one).all()) for one in ends[0])


# What is no finding.


class Keeps(Aside):
    """Buffers that are not finite on purpose, from the beginning or later."""

    def __init__(self, spoil):
        super().__init__(spoil)
        self.register_buffer("mask", torch.full((16, 16), -INF).triu(1))
        self.register_buffer("least", torch.tensor(INF))
        self.register_buffer("not_known", torch.tensor(NAN))
        self.register_buffer("largest", torch.tensor(INF))
        self.register_buffer("made_later", None)
        self.register_buffer("empty", torch.zeros(0))
        self.register_buffer("count", torch.tensor(0))

    def forward(self, x):
        self.least = torch.minimum(self.least, x.min()) if Middle.is_on else torch.full((), INF)
        if self.made_later is None:
            self.made_later = torch.full((16, 16), -INF).triu(1)
        return super().forward(x)


@pytest.mark.parametrize("steps_back", [1, 50])
def test_what_was_not_finite_from_the_beginning_is_left_alone(steps_back):
    ends = []
    for callbacks in ([], [FindNaN(steps_back=steps_back)]):
        model, optimizer, losses = loop(callbacks, make_model=Keeps)
        ends.append([torch.tensor(losses), *(torch.nan_to_num(one) for one in state_of(model, optimizer))])
    assert callbacks[0].finding is None
    assert all(map(torch.equal, *ends))
    finding = find(make_model=Keeps, spoil=lambda x: torch.log(x * 0))
    assert (finding.module, finding.operation, finding.batch) == ("middle", "log", SICK)
    assert finding.noticed.endswith("in buffers: norm.running_mean, norm.running_var")


def test_what_is_left_alone_is_not_blamed():
    """The loss is spoilt by what no operation does."""
    find_nan = FindNaN()
    with ol.Loop(Keeps(None), callbacks=[find_nan]) as course:
        for _ in course.train(batches()):
            course.log(loss=NAN if course.run.batch == SICK else 1.0)
    assert (find_nan.finding.phase, find_nan.finding.batch) == ("unknown", SICK)


def test_running_statistics_that_were_loaded_so():
    """No training may have these, and the loss does not show it."""

    def make(spoil):
        model = Aside(spoil)
        model.norm.running_var[3] = NAN
        return model

    finding = find(make_model=make)
    assert (finding.phase, finding.parameter, finding.batch) == ("weights", "norm.running_var", 0)
    assert "it is a buffer of the model" in finding.why


def test_what_was_lost_between_two_batches():
    """By a forward pass of the test stage in training mode."""
    torch.manual_seed(0)
    model, find_nan = Aside(None), FindNaN()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with ol.Loop(model, optimizer, callbacks=[find_nan]) as course:
        for _ in course.epochs(3):
            for x, y in course.train(batches()):
                loss = mean_square(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                course.log(loss=loss)
            for x, _ in course.test(batches(2), keep_mode=True):
                model(x * (NAN if course.run.epoch == 1 else 1))
    finding = find_nan.finding
    assert (finding.phase, finding.parameter) == ("weights", "norm.running_mean")
    assert (finding.epoch, finding.batch) == (2, 0)


def test_gradients_that_a_scaler_throws_away_are_not_blamed():
    """They are not finite in the batches before, and in that one."""
    torch.manual_seed(0)
    model, find_nan = Aside(lambda x: torch.log(x * 0)), FindNaN(steps_back=20)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)
    with ol.Loop(model, optimizer, callbacks=[find_nan]) as course:
        course.run.step_states.append(scaler)
        for x, y in course.train(batches()):
            Middle.is_on = course.run.batch == SICK
            loss = mean_square(model(x * 1e3), y)
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            course.log(loss=loss)
    finding = find_nan.finding
    assert (finding.phase, finding.module, finding.batch, finding.is_exact) == ("forward", "middle", SICK, True)


def test_a_buffer_that_is_expanded():
    """Its numbers share their memory, which PyTorch refuses to write to as a whole."""

    class Expanded(Aside):
        def __init__(self, spoil):
            super().__init__(spoil)
            self.register_buffer("shared", torch.arange(4.0).expand(16, 4))

    finding = find(make_model=Expanded, spoil=lambda x: torch.log(x * 0))
    assert (finding.module, finding.batch, finding.notes) == ("middle", SICK, [])


class Sealed(torch.Tensor):
    """Numbers that nobody may write to."""

    @classmethod
    def __torch_function__(cls, function, types, given=(), named=None):
        if function is torch.Tensor.copy_:
            raise TypeError("sealed")
        return super().__torch_function__(function, types, given, named)


def test_a_state_that_cannot_be_put_back_ends_no_training():
    class Seals(Aside):
        def __init__(self, spoil):
            super().__init__(spoil)
            self.register_buffer("sealed", torch.ones(3).as_subclass(Sealed))

    find_nan = FindNaN()
    loop([find_nan], make_model=Seals, spoil=lambda x: torch.log(x * 0))
    assert find_nan.run.outcome == "stopped"
    assert (find_nan.finding.phase, find_nan.finding.batch, find_nan.finding.is_restored) == ("unknown", None, False)
    assert "running batches once more failed: TypeError('sealed')" in str(find_nan.finding)
