"""Floods and poison: what one user's tasks may pour over a cluster, while the scheduler and the kernel go on answering."""
