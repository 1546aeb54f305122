"""The guides of docs/extend that need a service, followed step by step in a copy of the project."""

import re
from pathlib import Path

import pytest

from tests.unit.docs.guide_steps import followed, run, run_tests


@pytest.mark.long
def test_an_alert_rule_that_follows_the_guide_passes_promtool_and_the_tests_of_rules(promtool, tmp_path):
    project = followed("add-an-alert-rule", tmp_path)
    run(project, promtool, "test", "rules", "deploy/prometheus/tests/duplicates.yml")
    output = run_tests(project, "tests/integration/test_prometheus_rules.py", "-k", "DuplicatesHigh or duplicates")
    assert int(re.search(r"(\d+) passed", output)[1]) >= 6


@pytest.mark.long
@pytest.mark.airflow
def test_a_dag_that_follows_the_guide_keeps_the_rules_of_dags(tmp_path):
    project = followed("add-a-dag", tmp_path)
    assert Path(project, "dags/verify_published.py").is_file()
    rules = "every_file or every_dag or parsing or verify_published"
    output = run_tests(project, "tests/integration/test_dags.py", "-k", rules)
    assert int(re.search(r"(\d+) passed", output)[1]) == 4
