"""The example of the GAN does what it is there for: it writes digits that can be read."""

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.svm import SVC

import onlooker as ol
from onlooker.examples.gan_digits import train

pytestmark = pytest.mark.slow


@pytest.mark.slow
def test_a_classifier_of_real_digits_reads_those_that_were_made_up(tmp_path):
    """Half of the demo's epochs are enough for that."""
    trained = ol.Callback()
    train(epochs=60, every=60, directory=tmp_path, seed=5, callbacks=[trained])
    assert trained.run.outcome == "completed"

    labels = torch.arange(1000) % 10
    with torch.no_grad():
        made_up = trained.model["average"](torch.randn(1000, 32), labels).flatten(1)
    digits = load_digits()
    classifier = SVC(gamma=0.02).fit(digits.data / 8 - 1, digits.target)
    is_read = torch.from_numpy(classifier.predict(made_up.numpy())) == labels
    assert is_read.double().mean() > 0.85

    # Varied: the ones differ among each other at least half as much as real ones do, and so on.
    real, targets = torch.from_numpy(digits.data / 8 - 1), torch.from_numpy(digits.target)
    for digit in range(10):
        assert made_up[labels == digit].std(0).mean() > 0.5 * real[targets == digit].std(0).mean()


def test_what_is_saved_holds_all_three_models(tmp_path):
    class Look(ol.Callback):
        def on_epoch_end(self, epoch, logs):
            self.logs, self.names = dict(logs), list(self.run.weights())

    look = Look()
    train(epochs=1, every=1, directory=tmp_path, callbacks=[look])
    assert set(look.logs) == {"generator", "discriminator"}
    assert {name.partition(".")[0] for name in look.names} == {"generator", "discriminator", "average"}
