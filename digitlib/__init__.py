"""A reference study of handwritten digit recognition: what the notebooks share."""
