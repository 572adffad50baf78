"""`python -m bmjax.count`: the differential count of one case, and what it rests on."""
