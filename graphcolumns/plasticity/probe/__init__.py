"""One pass over a scoring batch: what a model shows of its edges and of candidates.

Everything is measured lazily and without a change to the model; gradients of parameters stay
as they were. Criteria read what is measured here as ``Evidence``. The scores of edges come from
``trace``, which runs the model: ``stacked`` makes tensors of its records, ``pair_bias`` and
``linear_scores`` what attention and linear layers need for each pair.
"""
