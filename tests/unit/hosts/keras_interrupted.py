"""Run by a test, in a process of its own: Ctrl-C at random moments of a training.

Not within the tests' process: an interrupt that falls into a garbage collection comes out elsewhere. Prints how often
`fit` was interrupted, and how often `on_train_end` had come by then.
"""

import signal

import numpy as np
from tests.unit.hosts.keras_models import X, Y, fit, make_model, on

ATTEMPTS = 16


def main():
    random = np.random.default_rng(11)
    fit(make_model(), [], epochs=1)
    attempts = at_once = 0
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    for _ in range(ATTEMPTS):
        ends = []
        after_s = float(random.uniform(0.01, 0.1))
        callback = on(
            on_train_begin=lambda self, logs, after_s=after_s: signal.setitimer(signal.ITIMER_REAL, after_s),
            on_train_end=lambda self, logs, ends=ends: ends.append(self.run.outcome),
        )
        try:
            fit(make_model(), [callback], epochs=200)
        except KeyboardInterrupt:
            attempts += 1
            at_once += len(ends)
            make_model().evaluate(X, Y, verbose=0, callbacks=[callback])
            assert ends == ["interrupted"], ends
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    print(attempts, at_once)


if __name__ == "__main__":
    main()
