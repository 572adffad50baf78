"""Features of labeled cells from a trained run, and a classifier on them.

    python examples/embed_and_classify.py RUN FOLDER

FOLDER holds a folder of images for each class. The classifier is scikit-learn's
logistic regression on features of the frozen network, judged on the quarter of the
images that it was not fitted on (of each class, so two images or more).
"""

import sys
from pathlib import Path

from sklearn.linear_model import LogisticRegression
from sklearn.metrics import classification_report
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import bmjax
from bmjax.data.open_images import read_catalog


def main(run: str, folder: str) -> None:
    """Embed the folder's images, fit the classifier and print its figures."""
    encoder = bmjax.load(run)
    print(f"{encoder.description}: {encoder.network}, {encoder.size} pixels")

    catalog = read_catalog(folder)
    paths = [Path(folder) / path for path in catalog.paths]
    labels = [catalog.classes[label] for label in catalog.labels]
    features = encoder.features(paths)  # float32 [n, F]

    train, test, train_labels, test_labels = train_test_split(
        features, labels, test_size=0.25, stratify=labels, random_state=0
    )
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    classifier.fit(train, train_labels)
    print(
        classification_report(test_labels, classifier.predict(test), zero_division=0.0)
    )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
