from __future__ import annotations

import numpy as np

from gandoctor.lab.peers import RULES, verdicts

N = np.arange(200)
NOISE = 0.02 * np.random.default_rng(0).standard_normal(200)


def test_each_rule_fires_on_what_it_is_for() -> None:
    falling = {"loss/D": 2 - 0.005 * N + NOISE}
    assert verdicts(falling) == []
    assert "divergence" in verdicts({"loss/D": 0.1 * (N + 1) + NOISE})
    assert "spikes" in verdicts({"loss/D": np.where(N == 100, 50.0, falling["loss/D"])})
    assert "stagnation" in verdicts({"loss/D": 1.386 + NOISE})
    assert "d-zero" in verdicts({"loss/D": np.exp(-N / 20)})
    assert "g-falls" in verdicts({"loss/G": 2 - 0.009 * N + NOISE})
    assert "gradient-100" in verdicts({"grad_norm/G": np.where(N == 50, 101.0, 1.0)})
    assert "non-finite" in verdicts({"loss/D": np.where(N > 150, np.nan, falling["loss/D"])})


def test_they_come_in_the_order_in_which_they_would_be_named() -> None:
    fired = verdicts({"loss/D": np.where(N > 150, np.nan, 1.0), "grad_norm/D": np.full(200, 1e3)})
    assert fired == [rule for rule in RULES if rule in fired]
    assert fired[0] == "non-finite"
    assert verdicts({}) == []
