"""Synthetic bone-marrow cells, for demonstrations, tests and timings without data."""

from bmjax.data.synthetic.tree import LEAST as LEAST
from bmjax.data.synthetic.tree import ROOT as ROOT
from bmjax.data.synthetic.tree import class_counts as class_counts
from bmjax.data.synthetic.tree import draw_cell as draw_cell
from bmjax.data.synthetic.tree import generator as generator
from bmjax.data.synthetic.tree import image_path as image_path
from bmjax.data.synthetic.tree import synthesize as synthesize
