"""PyTorch models compiled by Inductor, where they run or beforehand."""
