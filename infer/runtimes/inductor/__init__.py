"""What PyTorch compiles by Inductor: where it runs, or before."""
