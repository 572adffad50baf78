"""Tests of bmjax/parts."""
