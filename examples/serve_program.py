"""Name cells with a program that `bmjax export RUN --out=FILE` wrote, without bmjax.

    python examples/serve_program.py FILE.onnx IMAGES...
    python examples/serve_program.py FILE.stablehlo IMAGES...

Needs numpy, opencv and pillow, and onnxruntime for the one, jax and flatbuffers for the
other. Prints the most probable class of each image and its probability.
"""

import json
import sys

import cv2
import numpy as np
from PIL import Image


def open_program(file):
    """A function of pixels, uint8 [n, S, S, 3], to arrays by name."""
    if file.endswith(".onnx"):
        import onnxruntime

        session = onnxruntime.InferenceSession(
            file, providers=onnxruntime.get_available_providers()
        )
        names = [output.name for output in session.get_outputs()]
        return lambda pixels: dict(
            zip(names, session.run(names, {"pixels": pixels}), strict=True)
        )
    from jax import export

    with open(file, "rb") as content:
        return export.deserialize(bytearray(content.read())).call


def read_image(path, size, kernel):
    """RGB pixels, uint8 [size, size, 3], resized as in training."""
    pixels = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
    if pixels.shape[:2] == (size, size):
        return pixels
    if kernel != "area":
        how = Image.Resampling[kernel.upper()]
        return np.asarray(Image.fromarray(pixels).resize((size, size), how))
    shrinks = min(pixels.shape[:2]) > size
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(pixels, (size, size), interpolation=how)


def main(file, *images):
    """Check the program by its golden outputs, and name each image."""
    with open(f"{file}.json") as text:
        about = json.load(text)
    program, golden = open_program(file), np.load(f"{file}.golden.npz")
    found = program(golden["pixels"])["features"]
    np.testing.assert_allclose(found, golden["features"], rtol=1e-3, atol=1e-4)
    size, kernel = about["size"], about["resize"]
    pixels = np.stack([read_image(path, size, kernel) for path in images])
    probabilities = np.asarray(program(pixels)["probabilities"])
    for path, row in zip(images, probabilities, strict=True):
        print(f"{about['classes'][row.argmax()]} {row.max():.4f} {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
