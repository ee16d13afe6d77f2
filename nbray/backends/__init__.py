"""The engines that can run a notebook, behind one abstract class."""
