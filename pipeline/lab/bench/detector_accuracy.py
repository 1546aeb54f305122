"""False-alarm rates and detection delays of the detectors, with their targets: the parts of `bench evidence`.

Snapshots are estimated from earlier votes, honest voters have tastes of sd .5 and tie tendencies, and arrivals are
over-dispersed. A figure that misses its target is reported as missed; nothing is asserted.
"""

from collections.abc import Callable, Iterator

from pipeline.lab.bench.accuracy_figure import AccuracyFigure
from pipeline.lab.bench.voter_detector_accuracy import calibration, power, state_sizes
from pipeline.lab.bench.window_detector_accuracy import bursts, clean_month, cohorts, sampling, silence

PARTS: dict[str, Callable[[float], Iterator[AccuracyFigure]]] = {
    "calibration": calibration,
    "power": power,
    "month": clean_month,
    "bursts": bursts,
    "cohorts": cohorts,
    "sampling": sampling,
    "silence": silence,
    "state": state_sizes,
}
"""The measurements by the name that `--only` takes."""
