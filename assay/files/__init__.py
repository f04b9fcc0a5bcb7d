"""Files on disk: arrays, tables and texts read with care, folders written whole, locks and scratch folders."""
