"""nbray makes a Jupyter notebook the front end of a cluster."""

__version__ = "0.1.0"
