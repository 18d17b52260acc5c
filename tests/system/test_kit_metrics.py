"""The reader that the other tests trust: it takes what is well-formed, exactly, and refuses the faults it must find."""

from decimal import Decimal

import pytest
from kit.metrics import Malformed, Metrics, histograms

GOOD = """# HELP m_total Mails.
# TYPE m_total counter
m_total{a="x",b="1"} 18446744073709551615
m_total{a="x \\"} y\\\\",b="2"} 0
# HELP s_seconds Times.
# TYPE s_seconds histogram
s_seconds_bucket{le="0.5"} 1
s_seconds_bucket{le="1.0"} 1
s_seconds_bucket{le="+Inf"} 4
s_seconds_sum 7.000001
s_seconds_count 4
# HELP up Up.
# TYPE up gauge
up 1
"""


def test_values_are_exact_and_buckets_disjoint():
    metrics = Metrics(GOOD)
    assert metrics.types == {"m_total": "counter", "s_seconds": "histogram", "up": "gauge"}
    counts = metrics.counts()
    assert counts['m_total{a="x",b="1"}'] == 2**64 - 1
    assert counts['s_seconds_bucket{le="+Inf"}'] == 3
    assert counts["s_seconds_sum"] == Decimal("7.000001")
    assert "up" not in counts and "s_seconds_count" not in counts
    histogram = histograms(counts)["s_seconds"]
    assert histogram.buckets == {"0.5": 1, "1.0": 0, "+Inf": 3}
    assert (histogram.total(), histogram.sum) == (4, Decimal("7.000001"))


@pytest.mark.parametrize(
    "before, after",
    [
        ("up 1\n", "up 1\nup 1\n"),
        ("# TYPE up gauge\n", "# TYPE up gauge\n# TYPE up gauge\n"),
        ("# HELP up Up.\n", "# HELP up Up.\n# HELP up Up.\n"),
        ("up 1\n", "up\n"),
        ("up 1\n", "up  1\n"),
        ("up 1\n", "up one\n"),
        ("up 1\n", "up 1"),
        ("up 1\n", 'up{a="x" 1\n'),
        ('{a="x",b="1"}', '{a="x",b=1}'),
        ('{a="x",b="1"}', '{a="x"b="1"}'),
        ('bucket{le="1.0"} 1', 'bucket{le="1.0"} 0'),
        ("s_seconds_count 4", "s_seconds_count 5"),
        ("s_seconds_count 4\n", ""),
        ("# TYPE m_total counter\n", ""),
    ],
)
def test_faults_are_refused(before, after):
    assert before in GOOD
    with pytest.raises(Malformed):
        Metrics(GOOD.replace(before, after)).counts()
