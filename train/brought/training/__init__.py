"""The layers of a user's model that compute as in training, with one file for each framework: BatchNorm with the
statistics of the batch, or Dropout.
"""
