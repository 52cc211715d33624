"""Reads pictures of handwritten digits: picture, ink, 28 x 28, probabilities, answer.

It needs numpy, Pillow and scipy, and nothing else of digitlib.
"""
