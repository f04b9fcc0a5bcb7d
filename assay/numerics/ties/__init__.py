"""Tell whether a whole number differs because the values that decide it tie.

A whole number has no rounding error, but scores that decide it have one: where the largest two are closer than their
tolerance, two correct runs may choose different indices, and a score that is as close to a threshold, or to where it is
rounded up, may fall on either side. No other difference of a whole number is excused. Entries that scores select, such
as boxes, are there or not for the same reasons. Where scores decide through an operator that is not followed, nobody
can say whether they tie, and the verdict says so.
"""
