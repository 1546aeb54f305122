"""Lists the parts of `bench evidence`, which measure false-alarm rates and detection delays of the detectors.

The simulations are realistic in three ways. Snapshots are estimated from earlier votes. Honest voters have tastes with
standard deviation 0.5 and different tendencies to tie. Counts of votes vary more than Poisson counts. A figure that
misses its target is reported as missed and does not raise an error.
"""

from collections.abc import Callable, Iterator

from pipeline.lab.bench.accuracy_figure import AccuracyFigure
from pipeline.lab.bench.backlog_accuracy import backlog
from pipeline.lab.bench.cohort_accuracy import groups
from pipeline.lab.bench.voter_detector_accuracy import calibration, power, state_sizes
from pipeline.lab.bench.window_detector_accuracy import bursts, clean_month, cohorts, sampling, silence, swaps

PARTS: dict[str, Callable[[float], Iterator[AccuracyFigure]]] = {
    "calibration": calibration,
    "power": power,
    "month": clean_month,
    "bursts": bursts,
    "cohorts": cohorts,
    "sampling": sampling,
    "silence": silence,
    "swaps": swaps,
    "state": state_sizes,
    "backlog": backlog,
    "groups": groups,
}
"""Name of a measurement, for the option `--only` → its function."""
