"""`FindNaN` in `Trainer`, which runs batches once more too, and what a loop around it sees of that."""

import math

import pytest
import torch
from tests.unit.callbacks.find_nan.trainings import SICK, Middle, Net, batches, is_finite, seed, state_of

import onlooker as ol
from onlooker.callbacks import FindNaN

pytestmark = pytest.mark.filterwarnings("ignore:.*is NaN:onlooker.OnlookerWarning")


def fit(callbacks, spoil=None, epochs=2, count=9, **settings):
    seed()
    model = Net(spoil)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    trainer = ol.Trainer(model, loss=torch.nn.MSELoss(), optimizer=optimizer, **settings)
    trainer.fit(batches(count), epochs=epochs, validation=batches(2), callbacks=callbacks)
    return model, optimizer, trainer.history.history["loss"]


@pytest.fixture
def spoil(monkeypatch):
    """Spoils the batch that is the same as batch 5 was, in its shape and numbers."""
    marked = batches()[SICK][0]
    monkeypatch.setattr(Middle, "is_on", True)

    def make(function):
        class Spoils:
            def __call__(self, x):
                return function(x) if self.is_now else x

            def look(self, module, given):
                self.is_now = torch.equal(given[0], marked)

        return Spoils()

    return make


@pytest.fixture
def train(spoil, monkeypatch):
    def run(function, find_nan, **settings):
        spoils = spoil(function)
        enter = Net.forward
        monkeypatch.setattr(Net, "forward", lambda self, x: (spoils.look(self, (x,)), enter(self, x))[1])
        return fit([find_nan], spoils, **settings)

    return run


@pytest.mark.parametrize("settings", [{}, {"accumulate": 4}, {"accumulate": 4, "clip_norm": 1.0}], ids=str)
@pytest.mark.parametrize("steps_back", [2, 50])
def test_trainer(train, settings, steps_back):
    find_nan = FindNaN(steps_back=steps_back)
    model, *_ = train(lambda x: (x * 0).sqrt(), find_nan, **settings)
    finding = find_nan.finding
    assert (finding.phase, finding.module, finding.epoch, finding.batch) == ("backward", "middle", 0, SICK)
    assert finding.operation.endswith("in the derivative of sqrt")
    assert finding.is_exact
    assert finding.notes == []
    assert is_finite(model)
    assert find_nan.run.outcome == "stopped"


def test_trainer_at_an_epochs_end(train):
    """Its last batch is stepped on, though the group is not full: so it is when it is run once more."""
    find_nan = FindNaN()
    train(lambda x: (x * 0).sqrt(), find_nan, accumulate=4, count=6)
    assert (find_nan.finding.batch, find_nan.finding.is_exact, find_nan.finding.notes) == (SICK, True, [])


def test_trainer_in_float16(train):
    find_nan = FindNaN()
    train(lambda x: (x.float().abs() + 1) * 1e6, find_nan, autocast=torch.float16)
    finding = find_nan.finding
    assert (finding.phase, finding.module, finding.operation) == ("forward", "last", "to_copy")
    assert finding.is_exact


def test_trainer_goes_on(train):
    find_nan = FindNaN(then="restore", steps_back=4, at_most=9)
    model, *_ = train(lambda x: x.abs().neg().log(), find_nan, epochs=3)
    assert [(one.epoch, one.batch) for one in find_nan.findings] == [(0, SICK), (1, SICK), (2, SICK)]
    assert find_nan.run.outcome == "completed"
    assert is_finite(model)


@pytest.mark.parametrize("settings", [{}, {"accumulate": 4}, {"autocast": torch.float16}], ids=str)
def test_trainer_shows_nothing_of_it(settings):
    ends = []
    for callbacks in ([], [FindNaN(steps_back=3)]):
        model, optimizer, losses = fit(callbacks, **settings)
        ends.append([torch.tensor(losses), *state_of(model, optimizer)])
    assert all(map(torch.equal, *ends))


def test_other_callbacks_hear_nothing_and_their_logs_are_the_same(train):
    """But for the values of the batch itself, which are no more finite than they were."""
    calls = []
    seen = ol.callbacks.Lambda(
        on_train_batch_begin=lambda batch, logs: calls.append(("begin", batch)),
        on_train_batch_end=lambda batch, logs: calls.append(("end", batch, logs.batch["loss"])),
        on_test_begin=lambda logs: calls.append(("test",)),
    )
    find_nan = FindNaN()
    seed()
    model = Net(torch.log)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with ol.Loop(model, optimizer, callbacks=[find_nan, seen]) as course:
        for _ in course.epochs(3):
            for x, y in course.train(batches()):
                Middle.is_on = course.run.batch == SICK
                loss = (model(x) - y).square().mean()
                Middle.is_on = False
                for _ in course.test([1], prefix=f"within_{course.run.batch}"):
                    course.log(loss=1.0)  # silent, where the batch is run once more
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                course.log(loss=loss)
    begun = [call[1] for call in calls if call[0] == "begin"]
    assert begun == list(range(SICK + 1))
    assert [call[1] for call in calls if call[0] == "end"] == begun
    assert len([call for call in calls if call[0] == "test"]) == len(begun)
    assert find_nan.finding.is_exact
    assert (course.run.step, course.run.epoch, course.run.batch) == (SICK + 1, 0, None)


def test_a_body_that_raises_when_the_loss_is_nan():
    """It has been left: nothing can be run once more, and that is said."""
    find_nan = FindNaN()
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def train():
        with ol.Loop(model, optimizer, callbacks=[find_nan]) as course:
            for x, y in course.train(batches()):
                loss = (model(x) - y).square().mean()
                if course.run.batch == 3:
                    loss = loss * math.nan
                course.log(loss=loss)
                if not torch.isfinite(loss):
                    raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        train()
    assert (find_nan.finding.phase, find_nan.finding.batch) == ("unknown", 3)
    assert "the training was being closed" in str(find_nan.finding)
    assert torch.equal(find_nan.finding.data[0], batches()[3][0])


def train_what_refuses_nan(find_nan):
    """A distribution raises as soon as it is given NaN: one batch after the weights have become so."""
    seed()
    model = Net(lambda x: torch.sqrt(x * 0))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with ol.Loop(model, optimizer, callbacks=[find_nan]) as course:
        for _ in course.epochs(3):
            for x, y in course.train(batches()):
                Middle.is_on = course.run.batch == SICK
                loss = -torch.distributions.Normal(model(x), 1.0).log_prob(y).mean()
                Middle.is_on = False
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                course.log(loss=loss)


def test_a_body_that_fails_because_of_nan():
    """No loss shows it. What to do is said, and does help."""
    find_nan = FindNaN()
    with pytest.raises(ValueError, match="Expected parameter loc"):
        train_what_refuses_nan(find_nan)
    assert find_nan.run.outcome == "failed"
    (finding,) = find_nan.findings
    assert (finding.phase, finding.epoch, finding.batch) == ("unknown", 0, SICK + 1)
    assert finding.noticed.startswith("NaN or infinities in weights: first.weight")
    assert "FindNaN(steps_back=1) looks at the weights after each batch" in str(finding)
    find_nan = FindNaN(steps_back=1)
    train_what_refuses_nan(find_nan)
    assert (find_nan.finding.phase, find_nan.finding.module, find_nan.finding.batch) == ("backward", "middle", SICK)


def test_a_body_that_fails_for_another_reason_is_no_finding():
    find_nan, model = FindNaN(), Net()

    def train():
        with ol.Loop(model, torch.optim.SGD(model.parameters(), lr=0.01), callbacks=[find_nan]) as course:
            for x, _ in course.train(batches()):
                course.log(loss=model(x).mean())
                raise OSError("no")

    with pytest.raises(OSError, match="no"):
        train()
    assert find_nan.finding is None


def test_modules_that_get_their_weights_with_the_first_batch():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.LazyLinear(5), torch.nn.Linear(5, 1))
    optimizer, find_nan = torch.optim.SGD(model.parameters(), lr=0.01), FindNaN(steps_back=4)
    find_nan.on_error = "raise"
    with ol.Loop(model, optimizer, callbacks=[find_nan]) as loop:
        for number in loop.train(range(30)):
            x = torch.full((8, 3), math.nan if number == 12 else 1.0)
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()
            loop.log(loss=loss)
    assert (find_nan.finding.phase, find_nan.finding.batch) == ("forward", 12)
