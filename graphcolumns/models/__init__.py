"""Models: each takes its graph as an argument, none imports another."""
