"""Scores of probabilities, against scikit-learn and against sums done by hand."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, precision_recall_fscore_support, top_k_accuracy_score

from trainers.scores import score_probabilities


def made(count: int, width: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(width, (count,), generator=generator)
    logits = torch.randn(count, width, generator=generator, dtype=torch.float64)
    logits[torch.arange(count), labels] += 1.5
    return logits.softmax(1), labels


def test_errors_agree_with_scikit_learn():
    probabilities, labels = made(500, 12, 0)
    names = [f"class{k}" for k in range(12)]
    found = score_probabilities(probabilities, labels, names)
    known = range(12)
    assert found.pictures == 500
    assert found.top1_error == pytest.approx(1 - top_k_accuracy_score(labels, probabilities, k=1, labels=known))
    assert found.top5_error == pytest.approx(1 - top_k_accuracy_score(labels, probabilities, k=5, labels=known))
    assert found.loss == pytest.approx(log_loss(labels, probabilities, labels=known), rel=1e-6)
    precision, recall, _, support = precision_recall_fscore_support(labels, probabilities.argmax(1))
    assert [row.recall for row in found.classes] == pytest.approx(recall.tolist())
    assert [row.precision for row in found.classes] == pytest.approx(precision.tolist())
    assert [row.pictures for row in found.classes] == support.tolist()


def test_calibration_error_is_the_sum_over_bins_by_hand():
    probabilities, labels = made(400, 6, 1)
    confidence, predicted = (values.numpy() for values in probabilities.double().max(1))
    right = predicted == labels.numpy()
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence > low) & (confidence <= low + 1 / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    found = score_probabilities(probabilities, labels, list("abcdef"))
    assert found.calibration_error == pytest.approx(expected, abs=1e-9)
    assert expected > 0.01


def test_sure_and_right_is_calibrated_and_sure_and_wrong_is_not():
    sure = torch.eye(3)[[0, 1, 2, 0]]
    assert score_probabilities(sure, torch.tensor([0, 1, 2, 0]), "abc").calibration_error == 0
    assert score_probabilities(sure, torch.tensor([1, 2, 0, 1]), "abc").calibration_error == 1


def test_each_class_names_what_it_is_mistaken_for():
    sure = torch.eye(3)[[0, 1, 1, 2]]
    first, second, third = score_probabilities(sure, torch.tensor([0, 0, 0, 2]), ["cat", "dog", "car"]).classes
    assert (first.recall, first.precision, first.taken_for) == (1 / 3, 1.0, "dog")
    assert (second.pictures, second.recall, second.precision, second.taken_for) == (0, None, 0.0, None)
    assert (third.recall, third.taken_for) == (1.0, None)


def test_with_five_classes_there_is_no_top_5():
    probabilities, labels = made(20, 5, 2)
    assert score_probabilities(probabilities, labels, "abcde").top5_error is None
