"""One class per record: the task, the accuracy of a cell, images that change, served outputs, and pages."""
