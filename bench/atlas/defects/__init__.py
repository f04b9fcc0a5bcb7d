"""Wrong operators followed: a program that shows each error without Assay, and a report drafted for its project."""
