"""Mean, deviation and difference over runs, by hand."""

import numpy as np
import pytest

from bmjax.evals.over_runs import mean_and_sd, paired_over_folds


def test_a_run_that_does_not_define_a_metric_is_left_out():
    values = np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan]])
    mean, sd = mean_and_sd(values)
    np.testing.assert_allclose(mean, [2, 5, np.nan])
    np.testing.assert_allclose(sd, [2**0.5, np.nan, np.nan])


def test_folds_by_hand():
    found = paired_over_folds([0.5, 0.6, 0.7], [0.4, 0.4, 0.4])
    assert found.difference == pytest.approx(0.2)
    assert found.std == pytest.approx(0.1)
    # t of 2 degrees of freedom at 0.975 is 4.3027; 0.1 / sqrt(3), and for three folds
    # 0.1 * sqrt(1 / 3 + 1 / 2).
    reach = 4.302653 * 0.1 * np.sqrt(1 / 3)
    assert found.t_interval == pytest.approx((0.2 - reach, 0.2 + reach))
    reach = 4.302653 * 0.1 * np.sqrt(1 / 3 + 1 / 2)
    assert found.corrected_interval == pytest.approx((0.2 - reach, 0.2 + reach))
    assert found.t_p_value < found.corrected_p_value
    assert found.bootstrap_interval == pytest.approx((0.1, 0.3))


def test_equal_folds_are_equal():
    found = paired_over_folds([0.5, 0.5], [0.5, 0.5])
    assert found.corrected_interval == (0, 0)
    assert found.corrected_p_value == 1


def test_one_fold_has_no_spread():
    with pytest.raises(ValueError, match="two or more"):
        paired_over_folds([0.5], [0.4])
