"""What was measured on many machines, as one: runs joined, held together by kind of machine, priced and chosen from."""
